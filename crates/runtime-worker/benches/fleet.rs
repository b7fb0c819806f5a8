//! 10 000 workers that wait for tasks of one queue: their calls after an outage, and the distribution of tasks.
//!
//! The workers are simulated in this process: they claim from the embedded queue without a connection, with the delays
//! of [`Timing`]. Tokio's clock is paused and the random numbers have a seed, so that all figures but the duration of a
//! claim repeat.

#[path = "../src/delays.rs"]
#[expect(dead_code, reason = "the delays of other calls are not measured")]
#[cfg_attr(test, expect(unused_imports, reason = "there is no test harness"))]
mod delays;

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant as RealInstant};

use bench_harness::{AtMost, Bench, Plot};
use futures_util::future::join_all;
use runtime_core::clock::scaled;
use runtime_mocks::taskcluster::Taskcluster;
use runtime_worker::Timing;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep};

const QUEUE: &str = "fleet/linux";
const WORKERS: usize = 10_000;
/// The time over which the workers start, so that their long polls end at different times.
const RAMP_UP: Duration = Duration::from_secs(20);
/// The time before and after an outage.
const NORMAL: Duration = Duration::from_secs(60);
const SEED: u64 = 20_261_130;

fn main() -> ExitCode {
    Bench::main("fleet", |bench| {
        let workers = bench.pick(WORKERS, 1_000);
        // The delay before a change, for comparison: all return in the same second.
        bench
            .case("calls in the worst second after 2 s", "% of workers")
            .rounds(1)
            .bar(AtMost(0.5))
            .peer("jitter of a tenth", || {
                worst_second(workers, 2, delays::jittered)
            })
            .ours(|| worst_second(workers, 2, delays::spread));
        for (name, seconds) in [
            ("calls in the worst second after 60 s", 60),
            ("calls in the worst second after 300 s", 300),
        ] {
            // A fifth is the mean, with a mean delay of 5 s.
            bench
                .case(name, "% of workers")
                .rounds(1)
                .bar(AtMost(25.0))
                .ours(|| worst_second(workers, seconds, delays::spread));
        }
        let calls = OnceCell::new();
        let plot = Plot {
            name: "outage",
            title: "Calls of a fleet after an outage of 60 s",
            by: "seconds after the outage",
        };
        bench
            .growth(plot, "calls in a second", "% of workers")
            .rounds(1)
            .run(
                &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
                |_| (),
                |(), second| {
                    let calls = calls.get_or_init(|| calls_after(workers, 60, delays::spread));
                    calls[second as usize - 1]
                },
            );
        bench
            .case("tasks of a worker, most minus least", "tasks")
            .rounds(1)
            .bar(AtMost(1.0))
            .ours(|| difference_of_tasks(workers));
        let few = bench.pick(100, 10);
        bench
            .case("claim of a new task, all workers wait", "µs")
            .bar(AtMost(2.0))
            .peer("a hundredth waits", || micros_per_claim(few))
            .ours(|| micros_per_claim(workers));
    })
}

/// Runs a simulation on this thread, with a paused clock.
fn simulate<F: Future>(simulation: F) -> F::Output {
    fastrand::seed(SEED);
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().start_paused(true).build();
    let runtime = runtime.expect("a runtime");
    LocalSet::new().block_on(&runtime, simulation)
}

/// Workers that claim from one queue, and their calls.
struct Fleet {
    taskcluster: Taskcluster,
    /// Whether the queue answers.
    is_up: watch::Sender<bool>,
    /// Randomizes the delay after a failed claim.
    randomize: fn(Duration) -> Duration,
    start: Instant,
    /// By second.
    calls: RefCell<BTreeMap<u64, u64>>,
}

impl Fleet {
    async fn start(randomize: fn(Duration) -> Duration) -> Rc<Self> {
        Rc::new(Self {
            taskcluster: Taskcluster::start().await.expect("a free port"),
            is_up: watch::Sender::new(true),
            randomize,
            start: Instant::now(),
            calls: RefCell::default(),
        })
    }

    /// Claims for ever, as a worker does, with the delays of one.
    async fn work(&self, id: &str) {
        let timing = Timing::default();
        sleep(scaled(RAMP_UP, fastrand::f64())).await;
        loop {
            sleep(if self.claim(id).await {
                timing.empty_claim_delay
            } else {
                (self.randomize)(timing.claim_retry_delay)
            })
            .await;
        }
    }

    /// Calls `claimWork` once. Returns whether it was answered.
    async fn claim(&self, id: &str) -> bool {
        let second = self.start.elapsed().as_secs();
        *self.calls.borrow_mut().entry(second).or_default() += 1;
        let mut is_up = self.is_up.subscribe();
        tokio::select! {
            biased;
            // Closes the connections that wait, and refuses new ones.
            down = is_up.wait_for(|is_up| !is_up) => {
                down.expect("the fleet has the sender");
                false
            }
            claimed = self.taskcluster.claim_work(QUEUE, "group", id, 1) => {
                claimed.expect("the state is in memory");
                true
            }
        }
    }
}

/// Returns the most calls in one second after an outage, in percent of the workers.
fn worst_second(workers: usize, outage_seconds: u64, randomize: fn(Duration) -> Duration) -> f64 {
    let calls = calls_after(workers, outage_seconds, randomize);
    calls.into_iter().fold(0.0, f64::max)
}

/// Returns the calls in each second after an outage, in percent of the workers.
fn calls_after(
    workers: usize,
    outage_seconds: u64,
    randomize: fn(Duration) -> Duration,
) -> Vec<f64> {
    simulate(async {
        let fleet = Fleet::start(randomize).await;
        let all = (0..workers).map(|id| {
            let fleet = Rc::clone(&fleet);
            async move { fleet.work(&id.to_string()).await }
        });
        for worker in all {
            tokio::task::spawn_local(worker);
        }
        sleep(NORMAL).await;
        fleet.is_up.send_replace(false);
        sleep(Duration::from_secs(outage_seconds)).await;
        let end = fleet.start.elapsed().as_secs();
        fleet.is_up.send_replace(true);
        sleep(NORMAL).await;
        let calls = fleet.calls.take();
        let percent = |calls: u64| calls as f64 / workers as f64 * 100.0;
        let calls_in = |second| calls.get(&second).copied().unwrap_or_default();
        let seconds = end..end + NORMAL.as_secs();
        seconds.map(calls_in).map(percent).collect()
    })
}

/// Creates ten tasks for each worker, one after the other, and returns the difference between the most and the least
/// tasks of a worker.
fn difference_of_tasks(workers: usize) -> f64 {
    simulate(async {
        let taskcluster = Taskcluster::start().await.expect("a free port");
        let tasks_of = |id: usize| {
            let (taskcluster, id) = (&taskcluster, id.to_string());
            async move {
                let mut tasks = 0;
                loop {
                    let claimed = taskcluster.claim_work(QUEUE, "group", &id, 1).await;
                    match claimed.expect("the state is in memory").len() {
                        // The long poll has ended without a task: there are no more.
                        0 => return tasks,
                        claimed => tasks += claimed,
                    }
                }
            }
        };
        let create = async {
            for _ in 0..10 * workers {
                create_task(&taskcluster);
                sleep(Duration::from_millis(1)).await;
            }
        };
        let (tasks, ()) = tokio::join!(join_all((0..workers).map(tasks_of)), create);
        let (most, least) = (tasks.iter().max(), tasks.iter().min());
        (most.expect("workers") - least.expect("workers")) as f64
    })
}

/// Returns the real time from the creation of a task to its claim, while workers wait.
fn micros_per_claim(workers: usize) -> f64 {
    const TASKS: usize = 2_000;
    simulate(async {
        let taskcluster = Rc::new(Taskcluster::start().await.expect("a free port"));
        let claimed = Rc::new(RefCell::new(0));
        for id in 0..workers {
            let (taskcluster, claimed) = (Rc::clone(&taskcluster), Rc::clone(&claimed));
            tokio::task::spawn_local(async move {
                let id = id.to_string();
                loop {
                    let tasks = taskcluster.claim_work(QUEUE, "group", &id, 1).await;
                    *claimed.borrow_mut() += tasks.expect("the state is in memory").len();
                }
            });
        }
        // All wait after that.
        sleep(Duration::from_millis(1)).await;
        let start = RealInstant::now();
        for n in 1..=TASKS {
            create_task(&taskcluster);
            while *claimed.borrow() < n {
                tokio::task::yield_now().await;
            }
        }
        start.elapsed().as_secs_f64() * 1e6 / TASKS as f64
    })
}

fn create_task(taskcluster: &Taskcluster) {
    let task = json!({ "taskQueueId": QUEUE, "payload": {} });
    taskcluster.create_task(task).expect("a valid task");
}
