//! The course of a soak test: load with faults, then the idle workers, then the checks for leftovers.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use runtime_core::TaskId;
use tokio::task::JoinHandle;

use crate::assertions::{IDLE_SLACK, IDLE_TIMEOUT};
use crate::flags::Soak;
use crate::history::{
    EventCounts, FaultCounts, History, Observation, ResolvedCounts, TaskRecord, resolution,
};
use crate::leftovers;
use crate::logs;
use crate::queue::QueueClient;
use crate::sample::Sample;
use crate::server::Server;
use crate::tasks::{self, TaskSpec};
use crate::worker::Worker;

/// The maximum number of concurrent tasks of all workers.
const CAPACITY: usize = 6;
/// The time limit for the resolution of all tasks.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(300);
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// A claim may be valid for this number of seconds longer, after the clock of the server was set back.
pub(crate) const MAX_CLOCK_OFFSET: f64 = 240.0;

/// Runs a soak test.
pub(crate) async fn run(flags: &Soak, seed: u64) -> Result<History> {
    let cgroups_before = leftovers::abandoned_cgroups().await;
    let server = Server::start(&flags.server, &flags.out).await?;
    let count = flags.worker_count();
    let workers = (1..=count).map(|number| {
        let id = format!("worker-{number}");
        Worker::start(flags, &server, &id, CAPACITY.div_ceil(count))
    });
    let workers = workers.collect::<Result<Vec<_>>>()?;
    let mut test = SoakTest {
        queue: QueueClient::new(&server)?,
        server,
        workers,
        start: Instant::now(),
        tasks: Vec::new(),
        unresolved: Vec::new(),
        resolved: BTreeMap::new(),
        cancellations: Vec::new(),
        restarts: Vec::new(),
        clock_offset: 0.0,
        faults: BTreeMap::new(),
        viewers: Vec::new(),
        events: EventCounts::default(),
    };
    let inputs = test.create_inputs().await?;
    let before = test.workers[0].sample(0.0)?.context("it runs")?;
    test.start = Instant::now();
    let observations = test.run_load(flags, seed, &inputs).await?;
    test.end_load().await?;
    let after = test.wait_idle(&before).await?;
    let mut left = test.leftover_processes("the idle workers");
    let failed_exits = test.stop_workers().await?;
    left.extend(test.leftover_processes("the workers that exited"));
    left.extend(test.leftover_files());
    let cgroups = leftovers::abandoned_cgroups().await;
    let cgroups = cgroups.difference(&cgroups_before);
    left.extend(cgroups.map(|path| format!("control group {}", path.display())));
    let tasks = test.task_records().await?;
    let claims = test
        .workers
        .iter_mut()
        .flat_map(|worker| worker.claims.drain(..));
    let claims = claims.collect();
    test.server.stop().await?;
    Ok(History {
        seed,
        duration: flags.duration(),
        isolation: flags.isolation().to_owned(),
        before,
        observations,
        after,
        tasks,
        claims,
        faults: test.faults,
        events: test.events,
        leftovers: left,
        failed_exits,
    })
}

pub(crate) struct SoakTest {
    /// Before the server, so that a failed test ends them first.
    pub(crate) workers: Vec<Worker>,
    pub(crate) server: Server,
    pub(crate) queue: QueueClient,
    pub(crate) start: Instant,
    /// The created tasks.
    pub(crate) tasks: Vec<(TaskId, TaskSpec)>,
    /// Indices of the tasks that are not known to be resolved.
    pub(crate) unresolved: Vec<usize>,
    resolved: ResolvedCounts,
    /// The tasks to cancel, with the time to do so.
    pub(crate) cancellations: Vec<(Instant, TaskId)>,
    /// The killed workers, with the time of their restart.
    pub(crate) restarts: Vec<(Instant, usize)>,
    /// Seconds that the clock of the server is ahead.
    pub(crate) clock_offset: f64,
    pub(crate) faults: FaultCounts,
    pub(crate) viewers: Vec<JoinHandle<()>>,
    pub(crate) events: EventCounts,
}

impl SoakTest {
    pub(crate) async fn create(&mut self, spec: TaskSpec) -> Result<TaskId> {
        let name = task_name(self.tasks.len());
        let task_id = self.queue.create(&name, &spec).await?;
        if let Some(delay) = spec.cancel_after {
            let cancellation = (Instant::now() + delay, task_id.clone());
            self.cancellations.push(cancellation);
        }
        self.unresolved.push(self.tasks.len());
        self.tasks.push((task_id.clone(), spec));
        Ok(task_id)
    }

    async fn create_inputs(&mut self) -> Result<Vec<String>> {
        let mut inputs = Vec::new();
        for _ in 0..tasks::INPUTS {
            inputs.push(self.create(tasks::input_task()).await?.to_string());
        }
        self.wait_resolved().await?;
        Ok(inputs)
    }

    /// Samples all processes and counts the resolved tasks.
    pub(crate) async fn observe(&mut self) -> Result<Observation> {
        let at = self.start.elapsed().as_secs_f64();
        let workers = self.workers.iter().map(|worker| worker.sample(at));
        let workers = workers.collect::<Result<Vec<_>>>()?;
        let server = self.server.sample(at)?;
        self.update_resolved().await?;
        let resolved = self.resolved.clone();
        Ok(Observation {
            workers,
            server,
            resolved,
        })
    }

    async fn update_resolved(&mut self) -> Result<()> {
        let mut unresolved = Vec::new();
        for index in std::mem::take(&mut self.unresolved) {
            let status = self.queue.status(&self.tasks[index].0).await?;
            if status.state.is_resolved() {
                *self.resolved.entry(resolution(&status)).or_default() += 1;
            } else {
                unresolved.push(index);
            }
        }
        self.unresolved = unresolved;
        Ok(())
    }

    /// Ends faults and crashes, and waits until every task is resolved.
    async fn end_load(&mut self) -> Result<()> {
        self.count_faults().await?;
        self.queue.clear_faults().await?;
        for (_, index) in std::mem::take(&mut self.restarts) {
            self.workers[index].restart()?;
        }
        while !self.cancellations.is_empty() {
            self.cancel_due().await?;
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        if self.events.server_kills > 0 {
            // Claims from before the clock was set back expire.
            self.queue.step_clock(MAX_CLOCK_OFFSET).await?;
        }
        self.wait_resolved().await
    }

    async fn wait_resolved(&mut self) -> Result<()> {
        let start = Instant::now();
        loop {
            self.check_workers()?;
            self.update_resolved().await?;
            if self.unresolved.is_empty() {
                return Ok(());
            }
            let names = self.unresolved.iter().map(|index| task_name(*index));
            let names = names.collect::<Vec<_>>().join(", ");
            ensure!(start.elapsed() < RESOLVE_TIMEOUT, "not resolved: {names}");
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Fails if a worker has exited after its start.
    pub(crate) fn check_workers(&mut self) -> Result<()> {
        self.workers.iter_mut().try_for_each(Worker::check)
    }

    /// Waits until the workers have released their descriptors and threads, or for the time that they may keep them.
    async fn wait_idle(&mut self, before: &Sample) -> Result<Vec<Sample>> {
        let start = Instant::now();
        loop {
            let at = self.start.elapsed().as_secs_f64();
            let samples = self.workers.iter().map(|worker| worker.sample(at));
            let samples: Vec<_> = samples.collect::<Result<Vec<_>>>()?;
            let samples: Vec<_> = samples.into_iter().flatten().collect();
            let is_idle = |now: &Sample| {
                now.descriptors <= before.descriptors + IDLE_SLACK
                    && now.threads <= before.threads + IDLE_SLACK
            };
            if samples.iter().all(is_idle) || start.elapsed() > IDLE_TIMEOUT {
                return Ok(samples);
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    fn leftover_processes(&self, of: &str) -> Vec<String> {
        let pids = leftovers::task_processes(&self.server.root_url);
        let pids = pids.into_iter();
        pids.map(|pid| format!("process {pid} of {of}")).collect()
    }

    /// Returns the mounts and the files of tasks, after the workers have exited.
    fn leftover_files(&self) -> Vec<String> {
        let mut left = Vec::new();
        for worker in &self.workers {
            let mounts = leftovers::mounts(worker.folder()).into_iter();
            left.extend(mounts.map(|mount| format!("mount {mount}")));
            let files = leftovers::leftover_files(&worker.data()).into_iter();
            left.extend(files.map(|file| format!("file {file}")));
        }
        left
    }

    /// Stops all workers, and describes those that fail.
    async fn stop_workers(&mut self) -> Result<Vec<String>> {
        let mut failed = Vec::new();
        for worker in &mut self.workers {
            let status = worker.stop().await?;
            if !status.success() {
                failed.push(format!("{}: {status}", worker.id));
            }
        }
        Ok(failed)
    }

    /// Returns the final status of all tasks, and checks their logs.
    async fn task_records(&mut self) -> Result<Vec<TaskRecord>> {
        let mut records = Vec::new();
        for (index, (task_id, spec)) in std::mem::take(&mut self.tasks).into_iter().enumerate() {
            let status = self.queue.status(&task_id).await?;
            let log = self.queue.read_log(&task_id).await;
            let is_expected = resolution(&status) == spec.expected;
            let log_defect = match &log {
                // A cancelled task may have had no run, and its log may end anywhere.
                _ if spec.cancel_after.is_some() => None,
                Ok(log) => logs::defect(log, spec.lines),
                Err(error) => Some(format!("the log cannot be read: {error:#}")),
            };
            records.push(TaskRecord {
                name: task_name(index),
                kind: spec.kind,
                expected: spec.expected,
                status,
                log_defect,
                errors: if is_expected {
                    String::new()
                } else {
                    logs::error_lines(log.as_deref().unwrap_or_default())
                },
            });
        }
        Ok(records)
    }
}

fn task_name(index: usize) -> String {
    format!("soak-{index}")
}
