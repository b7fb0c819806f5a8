//! A thousand tasks with random faults from a fixed seed: each run is resolved once, with a reason that its script or a
//! fault explains.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use runtime_core::Timestamp;
use runtime_mocks::taskcluster::{Fault, FaultRule, TaskSnapshot};
use runtime_worker::Resolution;
use runtime_worker::report::TaskReport;
use serde_json::json;

use super::scripted_engine::{BEHAVIOURS, Behaviour, ScriptedEngine};
use crate::support::{
    EXPIRED_CLAIM_AGE, HeldResources, RunningWorker, TestBed, is_isolated, process_engine,
    run_isolated,
};

const SEED: u64 = 0x0bad_0a11;

/// The methods that upload artifacts.
const UPLOADS: [&str; 2] = ["queue.createArtifact", "s3.put"];

/// Time without progress after which claims with lost responses are made to expire.
const MAX_IDLE: Duration = Duration::from_secs(1);

#[tokio::test]
async fn random_faults_resolve_each_run_once() {
    run_isolated("faults::random::isolated_run").await;
}

/// The isolated part of the test above. Returns at once in other processes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn isolated_run() {
    if !is_isolated() {
        return;
    }
    // A few tasks first, for resources that the process opens once and keeps.
    run_tasks(40).await;
    let before = HeldResources::now();
    run_tasks(1000).await;
    before.wait_until_released().await;
}

/// Runs tasks with random faults.
async fn run_tasks(tasks: usize) {
    let bed = TestBed::new().await;
    let mut test = FaultTest::new(&bed, tasks, SEED);
    let mut workers = vec![test.worker(0), test.worker(1)];
    test.inject_until_resolved(&mut workers).await;
    bed.taskcluster.clear_faults();
    for worker in workers {
        worker.stop().await;
    }
    test.check();
    bed.assert_no_leftovers();
}

struct FaultTest<'a> {
    bed: &'a TestBed,
    random: Rng,
    behaviours: BTreeMap<String, Behaviour>,
    /// The unresolved tasks.
    open: BTreeSet<String>,
    cancelled: BTreeSet<String>,
    /// The tasks with a fault for their uploads.
    failed_uploads: BTreeSet<String>,
}

impl<'a> FaultTest<'a> {
    fn new(bed: &'a TestBed, tasks: usize, seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let mut behaviours = BTreeMap::new();
        for number in 0..tasks {
            // Slow behaviours are rare.
            let behaviour = match number % 20 {
                0 => Behaviour::Process,
                1 => Behaviour::Hang,
                2 => Behaviour::Panic,
                3 => Behaviour::Intermittent,
                4 | 5 => *random.choice(&BEHAVIOURS[..]).expect("not empty"),
                6..=8 => Behaviour::Fail,
                _ => Behaviour::Succeed,
            };
            let retries = if behaviour == Behaviour::Intermittent {
                1
            } else {
                49
            };
            let payload = behaviour.payload(random.u64(0..30));
            let task_id = bed.create_with(json!({ "payload": payload, "retries": retries }));
            behaviours.insert(task_id, behaviour);
        }
        Self {
            bed,
            random,
            open: behaviours.keys().cloned().collect(),
            behaviours,
            cancelled: BTreeSet::new(),
            failed_uploads: BTreeSet::new(),
        }
    }

    fn worker(&self, number: usize) -> RunningWorker {
        let worker = self
            .bed
            .worker_number(number, Arc::new(ScriptedEngine(process_engine())));
        self.bed
            .start(worker.capacity(12).max_consecutive_internal_errors(None))
    }

    /// Injects faults until all tasks are resolved, and replaces the workers half-way.
    async fn inject_until_resolved(&mut self, workers: &mut Vec<RunningWorker>) {
        let (mut last, mut quiet) = (0, Duration::ZERO);
        let tick = Duration::from_millis(20);
        loop {
            let resolved = self.resolved();
            if resolved == self.behaviours.len() {
                return;
            }
            if resolved > self.behaviours.len() / 2 && workers.len() == 2 {
                workers.push(self.worker(2));
                workers.remove(0).stop_now().await;
                workers.push(self.worker(3));
            }
            quiet = if resolved == last {
                quiet + tick
            } else {
                Duration::ZERO
            };
            last = resolved;
            if quiet > MAX_IDLE {
                self.bed.taskcluster.clear_faults();
                self.bed.taskcluster.advance(EXPIRED_CLAIM_AGE);
                quiet = Duration::ZERO;
            }
            self.inject_random();
            tokio::time::sleep(tick).await;
        }
    }

    /// Injects a random fault, or none.
    fn inject_random(&mut self) {
        match self.random.u32(0..100) {
            0..25 => {
                let rule = self.fault();
                self.bed.taskcluster.inject(rule);
            }
            25..29 => {
                let task_id = self.random_open_task();
                if self.bed.taskcluster.cancel_task(&task_id).is_ok() {
                    self.cancelled.insert(task_id);
                }
            }
            29..31 => self
                .bed
                .taskcluster
                .advance(Duration::from_secs(self.random.u64(1..500))),
            _ => {}
        }
    }

    fn fault(&mut self) -> FaultRule {
        let methods = [
            "queue.claimWork",
            "queue.reclaimTask",
            "queue.report*",
            "queue.createArtifact",
            "queue.status",
            "s3.put",
        ];
        let method = *self.random.choice(&methods).expect("not empty");
        let status = |status| Fault::Status {
            status,
            retry_after: None,
        };
        let faults = [
            status(500),
            status(503),
            Fault::Html { status: 502 },
            Fault::Reset { after: 0 },
            Fault::LostResponse,
            Fault::Latency { millis: 150 },
            Fault::Truncate { after: 10 },
            if method.starts_with("queue") {
                status(401)
            } else {
                status(400)
            },
        ];
        let fault = *self.random.choice(&faults).expect("not empty");
        let rule = FaultRule::new(method, fault).times(self.random.u32(1..4));
        if !UPLOADS.contains(&method) {
            return rule;
        }
        // Limited to one task, since a failed upload explains its state.
        let task_id = self.random_open_task();
        self.failed_uploads.insert(task_id.clone());
        rule.on_path(task_id)
    }

    /// Returns a random unresolved task, if there is one.
    fn random_open_task(&mut self) -> String {
        let task_id = self.random.choice(&self.open);
        task_id
            .or(self.behaviours.keys().next())
            .expect("there are tasks")
            .clone()
    }

    /// Returns the number of resolved tasks.
    fn resolved(&mut self) -> usize {
        let mut open = std::mem::take(&mut self.open);
        open.retain(|task_id| !self.status(task_id).state.is_resolved());
        self.open = open;
        self.behaviours.len() - self.open.len()
    }

    fn status(&self, task_id: &str) -> TaskSnapshot {
        self.bed
            .taskcluster
            .status(task_id)
            .expect("an existing task")
    }

    fn check(&self) {
        for (task_id, behaviour) in &self.behaviours {
            self.check_task(task_id, *behaviour);
        }
        let mut seen = BTreeSet::new();
        for report in self.bed.reports() {
            assert!(
                seen.insert(report.run.clone()),
                "{} was reported twice",
                report.run
            );
            self.check_report(&report);
        }
    }

    /// Checks the queue's side: every run is resolved, with a reason that is explained.
    fn check_task(&self, task_id: &str, behaviour: Behaviour) {
        let status = self.status(task_id);
        let (last, before) = status.runs.split_last().expect("a run");
        for run in before {
            let reason = run.reason_resolved.expect("a reason");
            let transient = ["claim-expired", "worker-shutdown", "intermittent-task"];
            assert!(
                transient.contains(&reason),
                "{task_id}/{}: {reason}",
                run.run_id
            );
        }
        // A task with one retry may lose it to an expired claim or a replaced worker.
        let retries_exhausted = ["exception/claim-expired", "exception/worker-shutdown"];
        let state = status.state_and_reason();
        let explained = state == behaviour.expected_state()
            || (state == "exception/resource-unavailable" && self.failed_uploads.contains(task_id))
            || (state == "exception/deadline-exceeded" && self.is_late(task_id))
            || (behaviour == Behaviour::Intermittent
                && retries_exhausted.contains(&state.as_str()))
            || (state == "exception/canceled" && self.cancelled.contains(task_id));
        assert!(
            explained,
            "{task_id} ({behaviour:?}) ended as {state} in run {}",
            last.run_id
        );
    }

    fn is_late(&self, task_id: &str) -> bool {
        let task = self.bed.taskcluster.task(task_id);
        let deadline = task.expect("an existing task")["deadline"].clone();
        let deadline: Timestamp = serde_json::from_value(deadline).expect("a timestamp");
        deadline <= self.bed.taskcluster.clock().now()
    }

    /// Checks the worker's side: its resolution is that of the queue.
    fn check_report(&self, report: &TaskReport) {
        let status = self.status(report.run.task_id.as_str());
        let run = &status.runs[report.run.run_id as usize];
        let of_queue = run.reason_resolved.expect("a reason");
        let of_worker = match report.resolution {
            Resolution::Completed => "completed",
            Resolution::Failed => "failed",
            Resolution::Exception(reason) => reason.as_str(),
            // Resolved by the queue, or the queue was unreachable.
            _ => return,
        };
        assert_eq!(of_worker, of_queue, "{}", report.run);
    }
}
