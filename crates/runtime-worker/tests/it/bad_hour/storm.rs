//! A thousand tasks and random faults from a seed: each run is resolved once, for a reason that its
//! task or something that befell it explains.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use runtime_core::Timestamp;
use runtime_mocks::taskcluster::{Fault, FaultRule, TaskSnapshot};
use runtime_worker::Resolution;
use runtime_worker::report::TaskReport;
use serde_json::json;

use super::actors::{ACTS, Act, Actors};
use crate::support::{
    Bench, Holdings, MORE_THAN_A_CLAIM, Running, is_alone, process_engine, run_alone, state,
};

const SEED: u64 = 0x0bad_0a11;

/// The methods by which artifacts arrive.
const UPLOADS: [&str; 2] = ["queue.createArtifact", "s3.put"];

/// How long nothing may happen before the claims that nobody knows of are made to expire.
const STANDSTILL: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_thousand_tasks_with_random_faults_are_each_resolved_once_for_the_right_reason() {
    run_alone("bad_hour::storm::storm").await;
}

/// What the test above runs in a process of its own; elsewhere nothing happens.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn storm() {
    if !is_alone() {
        return;
    }
    // What a process opens once, and keeps, is opened by a few tasks.
    pass(40).await;
    let before = Holdings::now();
    pass(1000).await;
    before.come_back().await;
}

/// Lets a storm pass over so many tasks.
async fn pass(tasks: usize) {
    let bench = Bench::new().await;
    let mut storm = Storm::new(&bench, tasks, SEED);
    let mut workers = vec![storm.worker(0), storm.worker(1)];
    storm.rage(&mut workers).await;
    bench.taskcluster.clear_faults();
    for worker in workers {
        worker.stop().await;
    }
    storm.check();
    bench.assert_nothing_is_left();
}

struct Storm<'a> {
    bench: &'a Bench,
    random: Rng,
    acts: BTreeMap<String, Act>,
    /// The tasks that are not resolved yet.
    open: BTreeSet<String>,
    cancelled: BTreeSet<String>,
    /// The tasks whose uploads something was to befall.
    befallen: BTreeSet<String>,
}

impl<'a> Storm<'a> {
    fn new(bench: &'a Bench, tasks: usize, seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let mut acts = BTreeMap::new();
        for number in 0..tasks {
            // Panics and hangs are rarer than the rest, and processes cost time.
            let act = match number % 20 {
                0 => Act::Process,
                1 => Act::Hang,
                2 => Act::Panic,
                3 => Act::Flake,
                4 | 5 => *random.choice(&ACTS[..]).expect("there are some"),
                6..=8 => Act::Fail,
                _ => Act::Succeed,
            };
            let retries = if act == Act::Flake { 1 } else { 49 };
            let payload = act.payload(random.u64(0..30));
            let task_id = bench.create_with(json!({ "payload": payload, "retries": retries }));
            acts.insert(task_id, act);
        }
        Self {
            bench,
            random,
            open: acts.keys().cloned().collect(),
            acts,
            cancelled: BTreeSet::new(),
            befallen: BTreeSet::new(),
        }
    }

    fn worker(&self, number: usize) -> Running {
        let worker = self
            .bench
            .worker_number(number, Arc::new(Actors(process_engine())));
        self.bench
            .start(worker.capacity(12).max_consecutive_internal_errors(None))
    }

    /// Lets things go wrong until all tasks are resolved. Half-way, a worker is replaced.
    async fn rage(&mut self, workers: &mut Vec<Running>) {
        let (mut last, mut quiet) = (0, Duration::ZERO);
        let tick = Duration::from_millis(20);
        loop {
            let resolved = self.resolved();
            if resolved == self.acts.len() {
                return;
            }
            if resolved > self.acts.len() / 2 && workers.len() == 2 {
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
            if quiet > STANDSTILL {
                self.bench.taskcluster.clear_faults();
                self.bench.taskcluster.advance(MORE_THAN_A_CLAIM);
                quiet = Duration::ZERO;
            }
            self.strike();
            tokio::time::sleep(tick).await;
        }
    }

    /// Something goes wrong, or nothing.
    fn strike(&mut self) {
        match self.random.u32(0..100) {
            0..25 => {
                let rule = self.fault();
                self.bench.taskcluster.inject(rule);
            }
            25..29 => {
                let task_id = self.victim();
                if self.bench.taskcluster.cancel_task(&task_id).is_ok() {
                    self.cancelled.insert(task_id);
                }
            }
            29..31 => self
                .bench
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
        let method = *self.random.choice(&methods).expect("there are some");
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
        let fault = *self.random.choice(&faults).expect("there are some");
        let rule = FaultRule::new(method, fault).times(self.random.u32(1..4));
        if !UPLOADS.contains(&method) {
            return rule;
        }
        // Of one task, since only that may end for this reason.
        let task_id = self.victim();
        self.befallen.insert(task_id.clone());
        rule.on_path(task_id)
    }

    /// A task that is not resolved yet, if there is one.
    fn victim(&mut self) -> String {
        let task_id = self.random.choice(&self.open);
        task_id
            .or(self.acts.keys().next())
            .expect("there are tasks")
            .clone()
    }

    /// How many tasks are resolved.
    fn resolved(&mut self) -> usize {
        let mut open = std::mem::take(&mut self.open);
        open.retain(|task_id| !self.status(task_id).state.is_resolved());
        self.open = open;
        self.acts.len() - self.open.len()
    }

    fn status(&self, task_id: &str) -> TaskSnapshot {
        self.bench
            .taskcluster
            .status(task_id)
            .expect("the task exists")
    }

    fn check(&self) {
        for (task_id, act) in &self.acts {
            self.check_task(task_id, *act);
        }
        let mut seen = BTreeSet::new();
        for report in self.bench.reports() {
            assert!(
                seen.insert(report.run.clone()),
                "{} was run twice by our account",
                report.run
            );
            self.check_report(&report);
        }
    }

    /// The queue's side: every run has ended, for a reason that can be explained.
    fn check_task(&self, task_id: &str, act: Act) {
        let status = self.status(task_id);
        let (last, before) = status.runs.split_last().expect("it has run");
        for run in before {
            let reason = run.reason_resolved.expect("there is a later run");
            let passing = ["claim-expired", "worker-shutdown", "intermittent-task"];
            assert!(
                passing.contains(&reason),
                "{task_id}/{}: {reason}",
                run.run_id
            );
        }
        // A task with one retry may have spent it when its claim expires or its worker is replaced.
        let spent = ["exception/claim-expired", "exception/worker-shutdown"];
        let state = state(&status);
        let explained = state == act.verdict()
            || (state == "exception/resource-unavailable" && self.befallen.contains(task_id))
            || (state == "exception/deadline-exceeded" && self.is_late(task_id))
            || (act == Act::Flake && spent.contains(&state.as_str()))
            || (state == "exception/canceled" && self.cancelled.contains(task_id));
        assert!(
            explained,
            "{task_id} ({act:?}) ended as {state} in run {}",
            last.run_id
        );
    }

    fn is_late(&self, task_id: &str) -> bool {
        let task = self.bench.taskcluster.task(task_id);
        let deadline = task.expect("the task exists")["deadline"].clone();
        let deadline: Timestamp = serde_json::from_value(deadline).expect("it is a time");
        deadline <= self.bench.taskcluster.clock().now()
    }

    /// The worker's side: what it believes to have reported is what the queue has.
    fn check_report(&self, report: &TaskReport) {
        let status = self.status(report.run.task_id.as_str());
        let run = &status.runs[report.run.run_id as usize];
        let of_queue = run.reason_resolved.expect("the run has ended");
        let of_worker = match report.resolution {
            Resolution::Completed => "completed",
            Resolution::Failed => "failed",
            Resolution::Exception(reason) => reason.as_str(),
            // Somebody else resolved it, or nobody could be asked.
            _ => return,
        };
        assert_eq!(of_worker, of_queue, "{}", report.run);
    }
}
