//! Growth of the cost of a task with the number of other processes and of other tasks.
//!
//! Worker, queue and tasks share the machine. All requests use HTTP to an embedded Taskcluster.

use std::io::Read as _;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bench_harness::{AtMost, Bench, Plot};
use runtime_client::TaskclusterDeployment;
use runtime_core::{
    Environment, LifeCycleTracker, Stoppable as _, TemporaryStorage, WorkerIdentity,
};
use runtime_mocks::taskcluster::Taskcluster;
use runtime_process::ProcessEngine;
use runtime_worker::plugins::{ExitStatus, TaskLog};
use runtime_worker::{Timing, Worker};
use serde_json::json;
use tempfile::TempDir;
use tokio::runtime::Runtime;

const QUEUE: &str = "bench/linux";

/// The number of tasks that run at the same time, beside the measured ones.
const IDLE_TASKS: u32 = 200;

fn main() -> ExitCode {
    Bench::main("process", |bench| {
        let runtime = &Runtime::new().expect("a runtime");
        for (name, containment) in [
            ("groups if possible", Containment::Groups),
            ("no groups", Containment::Search),
        ] {
            many_others(bench, runtime, name, containment);
        }
        growth(bench, runtime);
    })
}

/// The CPU time of a task, and of tasks that wait, by what else runs.
fn growth(bench: &mut Bench, runtime: &Runtime) {
    let plot = |name, by| Plot {
        name,
        title: "CPU time of worker and queue",
        by,
    };
    let tasks = bench.pick(200, 50);
    let seconds = bench.pick(20, 8);
    bench
        .growth(plot("processes", "other processes"), "no-op task", "ms")
        .bar(AtMost(0.1))
        .run(
            &[100, 1000, 4000],
            |_| (),
            |(), others| {
                let _crowd = Crowd::start(others as u32);
                runtime.block_on(no_op_ms(Containment::Groups, tasks, 0))
            },
        );
    bench
        .growth(plot("tasks", "other tasks"), "no-op task", "ms")
        .bar(AtMost(0.1))
        .run(
            &[10, 50, 250],
            |_| (),
            |(), idle| runtime.block_on(no_op_ms(Containment::Groups, tasks, idle as u32)),
        );
    bench
        .growth(plot("tasks", "other tasks"), "a second of them", "ms")
        .bar(AtMost(1.1))
        .run(
            &[10, 50, 250],
            |_| (),
            |(), idle| {
                let idle = idle_percent(Containment::Groups, idle as u32, seconds);
                // Percent of a second.
                runtime.block_on(idle) * 10.0
            },
        );
}

fn many_others(bench: &mut Bench, runtime: &Runtime, name: &str, containment: Containment) {
    let tasks = bench.pick(500, 100);
    let seconds = bench.pick(20, 8);
    let no_op = |idle| runtime.block_on(no_op_ms(containment, tasks, idle));
    let beside = |others| {
        let _crowd = Crowd::start(others);
        no_op(0)
    };
    bench
        .case(
            &format!("no-op task beside 4 000 processes, {name}"),
            "ms CPU/task",
        )
        .bar(AtMost(1.1))
        .peer("100 processes", || beside(100))
        .ours(|| beside(4000));
    bench
        .case(
            &format!("no-op task beside {IDLE_TASKS} tasks, {name}"),
            "ms CPU/task",
        )
        .bar(AtMost(1.5))
        .peer("no other task", || no_op(0))
        .ours(|| no_op(IDLE_TASKS));
    bench
        .case(&format!("255 idle tasks, {name}"), "% of a core")
        .bar(AtMost(1.0))
        .rounds(1)
        .ours(|| runtime.block_on(idle_percent(containment, 255, seconds)));
}

/// How the processes of a task are found. An engine prepares itself for one storage, so that each worker has its own.
#[derive(Clone, Copy)]
enum Containment {
    Groups,
    Search,
}

impl Containment {
    fn engine(self) -> ProcessEngine {
        match self {
            Self::Groups => ProcessEngine::new(),
            Self::Search => ProcessEngine::new().without_cgroups(),
        }
    }
}

/// Processes that wait.
struct Crowd(Child);

impl Crowd {
    fn start(count: u32) -> Self {
        let script = format!(
            "exec 3<&0; i=0; while [ $i -lt {count} ]; do (read x <&3) & i=$((i+1)); done; echo .; wait"
        );
        let mut command = Command::new("sh");
        command.args(["-c", &script]);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.expect("start a shell");
        let mut ready = [0];
        let stdout = child.stdout.as_mut().expect("it is a pipe");
        stdout.read_exact(&mut ready).expect("all have started");
        Self(child)
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        // They end with their standard input.
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// A worker and its queue.
struct Bed {
    taskcluster: Taskcluster,
    folder: TempDir,
    stop: LifeCycleTracker,
    worker: tokio::task::JoinHandle<()>,
}

impl Bed {
    async fn start(containment: Containment, capacity: usize) -> Self {
        let taskcluster = Taskcluster::builder()
            .long_poll(Duration::from_millis(100))
            .start()
            .await
            .expect("a free port");
        let folder = tempfile::tempdir().expect("create a folder");
        let root_url = taskcluster.root_url();
        let identity = WorkerIdentity {
            root_url: root_url.to_owned(),
            task_queue_id: QUEUE.to_owned(),
            worker_group: "bench".to_owned(),
            worker_id: format!("worker-{}", std::process::id()),
        };
        let storage = TemporaryStorage::open(folder.path()).expect("open the storage");
        let deployment = TaskclusterDeployment::new(root_url).expect("a root URL");
        let environment = Environment::builder(identity, storage).build();
        let mut timing = Timing::default();
        // Requests are not measured.
        timing.cancel_poll_interval = Duration::from_secs(3600);
        let worker = Worker::builder(
            Arc::new(deployment),
            environment,
            Arc::new(containment.engine()),
        )
        .timing(timing)
        .credentials(taskcluster.credentials())
        .capacity(capacity)
        .plugin(TaskLog::new())
        .plugin(ExitStatus)
        .build()
        .expect("a valid worker");
        let stop = LifeCycleTracker::new();
        let tracker = stop.clone();
        let worker = tokio::spawn(async move { worker.run_until(&tracker).await });
        Self {
            taskcluster,
            folder,
            stop,
            worker,
        }
    }

    fn create(&self, command: &[&str]) -> String {
        let task = json!({ "taskQueueId": QUEUE, "payload": { "command": command } });
        self.taskcluster
            .create_task(task)
            .expect("a valid definition")
    }

    /// Starts tasks that wait, and returns when all run.
    async fn start_idle(&self, count: u32) -> Vec<String> {
        let started = self.folder.path().join("started");
        let script = format!("echo >> {}; exec sleep 600", started.display());
        let ids: Vec<_> = (0..count)
            .map(|_| self.create(&["sh", "-c", &script]))
            .collect();
        let limit = Instant::now() + Duration::from_secs(120);
        while std::fs::metadata(&started).map_or(0, |it| it.len()) < count.into() {
            assert!(Instant::now() < limit, "not all tasks started");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        ids
    }

    fn create_no_ops(&self, count: u32) -> Vec<String> {
        (0..count).map(|_| self.create(&["true"])).collect()
    }

    async fn wait_for(&self, ids: &[String]) {
        for id in ids {
            let status = self.taskcluster.wait_until_resolved(id).await;
            assert_eq!(status.expect("it exists").state_and_reason(), "completed");
        }
    }

    async fn end(self, idle: Vec<String>) {
        for id in idle {
            self.taskcluster.cancel_task(&id).expect("it exists");
        }
        self.stop.stop_now();
        self.worker.await.expect("the worker does not panic");
        self.taskcluster.stop().await;
    }
}

/// Returns the CPU time that worker and queue need for a no-op task beside idle tasks, one after the other. The start of
/// the worker, which searches all processes for those of dead workers, is not measured.
async fn no_op_ms(containment: Containment, tasks: u32, idle: u32) -> f64 {
    let bed = Bed::start(containment, idle as usize + 1).await;
    let idle = bed.start_idle(idle).await;
    let first = bed.create_no_ops(1);
    bed.wait_for(&first).await;
    let ids = bed.create_no_ops(tasks);
    let before = ticks();
    bed.wait_for(&ids).await;
    let ms = (ticks() - before) * 10.0 / f64::from(tasks);
    bed.end(idle).await;
    ms
}

/// Returns the share of a core that idle tasks take, with worker and queue.
async fn idle_percent(containment: Containment, tasks: u32, seconds: u32) -> f64 {
    let bed = Bed::start(containment, tasks as usize).await;
    let idle = bed.start_idle(tasks).await;
    // The first samples are not measured.
    tokio::time::sleep(Duration::from_secs(4)).await;
    let before = ticks();
    tokio::time::sleep(Duration::from_secs(seconds.into())).await;
    let used = ticks() - before;
    bed.end(idle).await;
    used / f64::from(seconds)
}

/// Returns the CPU time of this process in ticks of 10 ms.
fn ticks() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let times = fields.split_ascii_whitespace().skip(11).take(2);
    times.filter_map(|field| field.parse::<f64>().ok()).sum()
}
