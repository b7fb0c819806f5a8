//! The course of a soak test: load with faults, then the idle worker.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use fastrand::Rng;
use runtime_mocks::taskcluster::Taskcluster;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::assertions::IDLE_SLACK;
use crate::faults::{self, InjectedRule};
use crate::flags::Soak;
use crate::history::{History, Observation, ResolvedCounts, TaskRecord};
use crate::sample::{self, Sample};
use crate::tasks::{self, TaskSpec};
use crate::viewers;
use crate::worker::Worker;

/// Short, so that reclaims are frequent and a claim whose response was lost expires soon.
const CLAIM_TIMEOUT: Duration = Duration::from_secs(40);
const LONG_POLL: Duration = Duration::from_secs(5);
const TICK: Duration = Duration::from_millis(100);
/// Seconds between two samples.
const SAMPLE_INTERVAL: f64 = 5.0;
/// Mean number of seconds between two faults.
const FAULT_INTERVAL: f64 = 4.0;
/// Mean number of seconds between two viewers of logs.
const VIEWER_INTERVAL: f64 = 2.0;
/// The time limit for the resolution of all tasks.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(300);
/// Longer than the worker keeps idle connections and threads.
const IDLE_TIMEOUT: Duration = Duration::from_secs(150);

/// Runs a soak test.
pub(crate) async fn run(flags: &Soak, seed: u64) -> Result<History> {
    let builder = Taskcluster::builder()
        .claim_timeout(CLAIM_TIMEOUT)
        .long_poll(LONG_POLL);
    let taskcluster = builder.start().await?;
    let data = tempfile::Builder::new().prefix("soak-").tempdir()?;
    let worker = Worker::start(&flags.worker, data.path(), &taskcluster)?;
    let mut test = SoakTest {
        rng: Rng::with_seed(seed),
        taskcluster,
        data,
        worker,
        start: Instant::now(),
        tasks: Vec::new(),
        unresolved: Vec::new(),
        resolved: BTreeMap::new(),
        cancellations: Vec::new(),
        faults: Vec::new(),
        viewers: Vec::new(),
    };
    let inputs = test.create_inputs().await?;
    let before = test.sample()?;
    test.start = Instant::now();
    let observations = test.run_load(flags, &inputs).await?;
    test.taskcluster.clear_faults();
    test.wait_resolved().await?;
    let after = test.wait_idle(&before).await?;
    test.finish(flags, seed, (before, observations, after))
        .await
}

struct SoakTest {
    rng: Rng,
    taskcluster: Taskcluster,
    data: TempDir,
    worker: Worker,
    start: Instant,
    /// The created tasks with their ids.
    tasks: Vec<(String, TaskSpec)>,
    /// Indices of the tasks that are not resolved yet.
    unresolved: Vec<usize>,
    resolved: ResolvedCounts,
    /// The tasks to cancel, with the time to do so.
    cancellations: Vec<(Instant, String)>,
    faults: Vec<InjectedRule>,
    viewers: Vec<JoinHandle<()>>,
}

impl SoakTest {
    fn create(&mut self, spec: TaskSpec) -> Result<String> {
        let task_id = self.taskcluster.create_task(serde_json::json!({
            "taskQueueId": "demo/local",
            "payload": spec.payload,
            "dependencies": spec.dependencies,
            "metadata": {"name": task_name(self.tasks.len())},
        }))?;
        if let Some(delay) = spec.cancel_after {
            let cancellation = (Instant::now() + delay, task_id.clone());
            self.cancellations.push(cancellation);
        }
        self.unresolved.push(self.tasks.len());
        self.tasks.push((task_id.clone(), spec));
        Ok(task_id)
    }

    async fn create_inputs(&mut self) -> Result<Vec<String>> {
        let inputs = (0..tasks::INPUTS).map(|_| self.create(tasks::input_task()));
        let inputs = inputs.collect::<Result<Vec<_>>>()?;
        self.wait_resolved().await?;
        Ok(inputs)
    }

    /// Creates tasks, faults and viewers and takes samples until the time is over.
    async fn run_load(&mut self, flags: &Soak, inputs: &[String]) -> Result<Vec<Observation>> {
        let mut observations = Vec::new();
        // The times, in seconds, when the next of each is due.
        let [mut task, mut fault, mut viewer, mut sample] = [0.0; 4];
        while self.start.elapsed() < flags.duration() {
            let now = self.start.elapsed().as_secs_f64();
            if now >= task {
                task = now + self.random_delay(flags.task_interval());
                let spec = tasks::random_task(&mut self.rng, inputs);
                self.create(spec)?;
            }
            if now >= fault {
                fault = now + self.random_delay(FAULT_INTERVAL);
                let rule = faults::inject(&mut self.rng, &self.taskcluster);
                self.faults.push(rule);
            }
            if now >= viewer {
                viewer = now + self.random_delay(VIEWER_INTERVAL);
                self.add_viewer();
            }
            if now >= sample {
                sample = now + SAMPLE_INTERVAL;
                let (sample, resolved) = (self.sample()?, self.resolved.clone());
                observations.push(Observation { sample, resolved });
            }
            self.tick().await?;
        }
        Ok(observations)
    }

    /// Returns a delay in seconds, uniformly distributed around the mean.
    fn random_delay(&mut self, mean: f64) -> f64 {
        mean * 2.0 * self.rng.f64()
    }

    /// Starts a viewer of the live log of a random task, if it has a live log.
    fn add_viewer(&mut self) {
        let Some(index) = self.rng.choice(&self.unresolved).copied() else {
            return;
        };
        if let Some(url) = viewers::live_log(&self.taskcluster, &self.tasks[index].0) {
            self.viewers.push(viewers::spawn(&mut self.rng, url));
        }
    }

    /// Cancels tasks that are due, counts resolved tasks, and sleeps.
    async fn tick(&mut self) -> Result<()> {
        ensure!(self.worker.is_running(), "the worker exited");
        let now = Instant::now();
        let due = self.cancellations.extract_if(.., |(at, _)| *at <= now);
        for (_, task_id) in due.collect::<Vec<_>>() {
            self.taskcluster.cancel_task(&task_id)?;
        }
        let (taskcluster, tasks, resolved) = (&self.taskcluster, &self.tasks, &mut self.resolved);
        self.unresolved
            .retain(|index| match taskcluster.status(&tasks[*index].0) {
                Ok(status) if status.state.is_resolved() => {
                    *resolved.entry(status.state_and_reason()).or_default() += 1;
                    false
                }
                _ => true,
            });
        tokio::time::sleep(TICK).await;
        Ok(())
    }

    /// Waits until every task is resolved.
    async fn wait_resolved(&mut self) -> Result<()> {
        let start = Instant::now();
        while !self.unresolved.is_empty() {
            let names = self.unresolved.iter().map(|index| task_name(*index));
            let names = names.collect::<Vec<_>>().join(", ");
            ensure!(start.elapsed() < RESOLVE_TIMEOUT, "not resolved: {names}");
            self.tick().await?;
        }
        Ok(())
    }

    /// Waits until the worker has released its descriptors and threads, or for the time that it may keep them.
    async fn wait_idle(&mut self, before: &Sample) -> Result<Sample> {
        let start = Instant::now();
        loop {
            let now = self.sample()?;
            let is_idle = now.descriptors <= before.descriptors + IDLE_SLACK
                && now.threads <= before.threads + IDLE_SLACK;
            if is_idle || start.elapsed() > IDLE_TIMEOUT {
                return Ok(now);
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    fn sample(&self) -> Result<Sample> {
        let seconds = self.start.elapsed().as_secs_f64();
        Sample::take(self.worker.pid, self.data.path(), seconds)
    }

    /// Stops the worker and collects the final status of all tasks.
    async fn finish(
        self,
        flags: &Soak,
        seed: u64,
        (before, observations, after): (Sample, Vec<Observation>, Sample),
    ) -> Result<History> {
        let leftovers = || sample::task_processes(self.taskcluster.root_url()).len();
        let leftovers_before = leftovers();
        let (exit_status, claims) = self.worker.stop().await?;
        let leftovers = (leftovers_before, leftovers());
        let mut tasks = Vec::new();
        for (index, (task_id, spec)) in self.tasks.into_iter().enumerate() {
            let status = self.taskcluster.status(&task_id)?;
            let errors = if status.state_and_reason() == spec.expected {
                String::new()
            } else {
                error_lines(&self.taskcluster, &task_id).await
            };
            tasks.push(TaskRecord {
                name: task_name(index),
                kind: spec.kind,
                expected: spec.expected,
                status,
                errors,
            });
        }
        Ok(History {
            seed,
            duration: flags.duration(),
            before,
            observations,
            after,
            tasks,
            claims,
            faults: self.faults,
            viewers: self.viewers.len(),
            leftovers,
            exit_status,
        })
    }
}

/// Returns the first error lines of a task's log.
async fn error_lines(taskcluster: &Taskcluster, task_id: &str) -> String {
    let log = taskcluster.read_artifact_text(task_id, "public/logs/live_backing.log");
    let Ok(log) = log.await else {
        return "no log".to_owned();
    };
    let lines = log.lines();
    let errors = lines.filter(|line| line.starts_with("[taskcluster:error]"));
    errors.take(3).collect::<Vec<_>>().join("\n  ")
}

fn task_name(index: usize) -> String {
    format!("soak-{index}")
}
