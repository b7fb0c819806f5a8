//! The course of a soak: tasks, cancellations, faults and viewers come, and samples are taken.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use fastrand::Rng;
use runtime_mocks::taskcluster::Taskcluster;
use tempfile::TempDir;

use crate::course::{Course, Ended, Look, Task, end};
use crate::faults::{self, Injected};
use crate::flags::Soak;
use crate::judge::IDLE_SLACK;
use crate::sample::{self, Sample};
use crate::tasks::{self, Plan};
use crate::viewers;
use crate::worker::Worker;

/// Short, so that claims are extended often, and a claim whose answer was lost is soon given to somebody.
const CLAIM: Duration = Duration::from_secs(40);
const LONG_POLL: Duration = Duration::from_secs(5);
/// How often something is looked for that is due.
const TICK: Duration = Duration::from_millis(100);
const BETWEEN_SAMPLES: f64 = 5.0;
/// Seconds between faults and between viewers, on average.
const BETWEEN_FAULTS: f64 = 4.0;
const BETWEEN_VIEWERS: f64 = 2.0;
/// How long tasks that came in the end may take.
const DRAIN: Duration = Duration::from_secs(300);
/// How long connections and threads that are kept for the next task may last.
const SETTLE: Duration = Duration::from_secs(150);

/// Runs one to its end.
pub(crate) async fn run(flags: &Soak, seed: u64) -> Result<Course> {
    let builder = Taskcluster::builder()
        .claim_timeout(CLAIM)
        .long_poll(LONG_POLL);
    let taskcluster = builder.start().await?;
    let data = tempfile::Builder::new().prefix("soak-").tempdir()?;
    let worker = Worker::start(&flags.worker, data.path(), &taskcluster)?;
    let mut soak = Soaking {
        rng: Rng::with_seed(seed),
        taskcluster,
        data,
        worker,
        start: Instant::now(),
        tasks: Vec::new(),
        open: Vec::new(),
        ended: BTreeMap::new(),
        cancels: Vec::new(),
        faults: Vec::new(),
        watching: Vec::new(),
    };
    let inputs = soak.make_inputs().await?;
    let before = soak.sample()?;
    soak.start = Instant::now();
    let looks = soak.expose(flags, &inputs).await?;
    soak.taskcluster.clear_faults();
    soak.drain().await?;
    let after = soak.settle(&before).await?;
    soak.finish(flags, seed, (before, looks, after)).await
}

struct Soaking {
    rng: Rng,
    taskcluster: Taskcluster,
    data: TempDir,
    worker: Worker,
    start: Instant,
    tasks: Vec<(String, Plan)>,
    /// Which of the tasks are not resolved yet.
    open: Vec<usize>,
    ended: Ended,
    cancels: Vec<(Instant, String)>,
    faults: Vec<Injected>,
    watching: Vec<tokio::task::JoinHandle<()>>,
}

impl Soaking {
    fn create(&mut self, plan: Plan) -> Result<String> {
        let name = name(self.tasks.len());
        let task_id = self.taskcluster.create_task(serde_json::json!({
            "taskQueueId": "demo/local",
            "payload": plan.payload,
            "dependencies": plan.dependencies,
            "metadata": {"name": name},
        }))?;
        if let Some(after) = plan.cancel_after {
            self.cancels.push((Instant::now() + after, task_id.clone()));
        }
        self.open.push(self.tasks.len());
        self.tasks.push((task_id.clone(), plan));
        Ok(task_id)
    }

    async fn make_inputs(&mut self) -> Result<Vec<String>> {
        let made = (0..tasks::INPUTS).map(|_| self.create(tasks::make_input()));
        let made = made.collect::<Result<Vec<_>>>()?;
        self.drain().await?;
        Ok(made)
    }

    /// Lets tasks and faults come, until the time is over.
    async fn expose(&mut self, flags: &Soak, inputs: &[String]) -> Result<Vec<Look>> {
        let mut looks = Vec::new();
        let [mut task, mut fault, mut viewer, mut look] = [0.0; 4];
        while self.start.elapsed() < flags.length() {
            let now = self.start.elapsed().as_secs_f64();
            if now >= task {
                task = now + self.about(flags.pause());
                let plan = tasks::random(&mut self.rng, inputs);
                self.create(plan)?;
            }
            if now >= fault {
                fault = now + self.about(BETWEEN_FAULTS);
                self.faults
                    .push(faults::inject(&mut self.rng, &self.taskcluster));
            }
            if now >= viewer {
                viewer = now + self.about(BETWEEN_VIEWERS);
                self.view();
            }
            if now >= look {
                look = now + BETWEEN_SAMPLES;
                let (sample, ended) = (self.sample()?, self.ended.clone());
                looks.push(Look { sample, ended });
            }
            self.turn().await?;
        }
        Ok(looks)
    }

    /// A random pause: as often short as long.
    fn about(&mut self, seconds: f64) -> f64 {
        seconds * 2.0 * self.rng.f64()
    }

    /// Lets somebody follow the log of a task that runs, if one has a log by now.
    fn view(&mut self) {
        let Some(index) = self.rng.choice(&self.open).copied() else {
            return;
        };
        if let Some(url) = viewers::live_log(&self.taskcluster, &self.tasks[index].0) {
            self.watching.push(viewers::watch(&mut self.rng, url));
        }
    }

    /// Cancels what is due, notes what has ended, and waits for a moment.
    async fn turn(&mut self) -> Result<()> {
        ensure!(!self.worker.has_ended(), "the worker ended by itself");
        let now = Instant::now();
        let due = self.cancels.extract_if(.., |(at, _)| *at <= now);
        for (_, task_id) in due.collect::<Vec<_>>() {
            self.taskcluster.cancel_task(&task_id)?;
        }
        let (taskcluster, tasks, ended) = (&self.taskcluster, &self.tasks, &mut self.ended);
        self.open
            .retain(|index| match taskcluster.status(&tasks[*index].0) {
                Ok(status) if status.state.is_resolved() => {
                    *ended.entry(end(&status)).or_default() += 1;
                    false
                }
                _ => true,
            });
        tokio::time::sleep(TICK).await;
        Ok(())
    }

    /// Waits until every task is resolved.
    async fn drain(&mut self) -> Result<()> {
        let start = Instant::now();
        while !self.open.is_empty() {
            let names: Vec<String> = self.open.iter().map(|index| name(*index)).collect();
            ensure!(
                start.elapsed() < DRAIN,
                "never resolved: {}",
                names.join(", ")
            );
            self.turn().await?;
        }
        Ok(())
    }

    /// Waits until the worker holds no more than before, or as long as it may keep things for the next task.
    async fn settle(&mut self, before: &Sample) -> Result<Sample> {
        let start = Instant::now();
        loop {
            let now = self.sample()?;
            let settled = now.descriptors <= before.descriptors + IDLE_SLACK
                && now.threads <= before.threads + IDLE_SLACK;
            if settled || start.elapsed() > SETTLE {
                return Ok(now);
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    fn sample(&self) -> Result<Sample> {
        Sample::take(
            self.worker.pid,
            self.data.path(),
            self.start.elapsed().as_secs_f64(),
        )
    }

    async fn finish(
        self,
        flags: &Soak,
        seed: u64,
        (before, looks, after): (Sample, Vec<Look>, Sample),
    ) -> Result<Course> {
        let strays = || sample::strays(self.taskcluster.root_url()).len();
        let left = strays();
        let (status, told) = self.worker.stop().await?;
        let strays = (left, strays());
        let mut tasks = Vec::new();
        for (index, (task_id, plan)) in self.tasks.into_iter().enumerate() {
            let status = self.taskcluster.status(&task_id)?;
            let errors = match end(&status) == plan.end {
                true => String::new(),
                false => errors(&self.taskcluster, &task_id).await,
            };
            tasks.push(Task {
                name: name(index),
                kind: plan.kind,
                end: plan.end,
                status,
                errors,
            });
        }
        Ok(Course {
            seed,
            length: flags.length(),
            before,
            looks,
            after,
            tasks,
            told,
            faults: self.faults,
            viewers: self.watching.len(),
            strays,
            status,
        })
    }
}

/// The lines of a task's log that give a reason for its end.
async fn errors(taskcluster: &Taskcluster, task_id: &str) -> String {
    let stored = taskcluster
        .read_artifact(task_id, "public/logs/live_backing.log")
        .await;
    let Some(log) = stored.ok().and_then(|stored| stored.decoded().ok()) else {
        return "it has no log".to_owned();
    };
    let log = String::from_utf8_lossy(&log);
    let errors = log
        .lines()
        .filter(|line| line.starts_with("[taskcluster:error]"));
    errors.take(3).collect::<Vec<_>>().join("\n  ")
}

fn name(index: usize) -> String {
    format!("soak-{index}")
}
