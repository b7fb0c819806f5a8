//! Many no-op tasks through one worker as fast as it can, in any number of runs.
//!
//! Totals are appended to a file, so that the next run continues to count where this one ended.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use plots::{Series, plot_over_time};
use tokio::task::JoinSet;

use crate::assertions::{self, IDLE_TIMEOUT, idle_leaks};
use crate::flags::Soak;
use crate::queue::QueueClient;
use crate::sample::Sample;
use crate::server::Server;
use crate::tasks;
use crate::totals::{self, Subject, Total, TotalsFile, at, cpu_per_task};
use crate::worker::Worker;

/// Concurrent tasks of the worker.
const CAPACITY: usize = 16;
/// The number of tasks that wait in the queue.
const PENDING: u64 = 200;
/// The number of concurrent requests that create tasks.
const CREATORS: usize = 4;
/// Long enough to connect and to claim.
const START_TIME: Duration = Duration::from_secs(5);
const SAMPLE_INTERVAL: Duration = Duration::from_secs(10);
/// The time limit without a completed task.
const STALL_TIMEOUT: Duration = Duration::from_secs(60);
/// Rows of the table.
const ROWS: u64 = 10;

/// Runs no-op tasks and writes the report of all runs; returns the failed assertions.
pub(crate) async fn run(flags: &Soak, count: u64) -> Result<Vec<String>> {
    let mut file = TotalsFile::open(&flags.out.join("no-op.jsonl"), Subject::of(flags)?)?;
    let base = file.totals.last().copied().unwrap_or_default();
    let server = Server::start(&flags.server, &flags.out).await?;
    let mut worker = Worker::start(flags, &server, "worker-1", CAPACITY)?;
    let queue = Arc::new(QueueClient::new(&server)?);
    tokio::time::sleep(START_TIME).await;
    let before = worker.sample(0.0)?.context("the worker runs")?;
    let mut creators = create_tasks(&queue, count, &worker.completed);
    let (start, mut samples) = (Instant::now(), Vec::new());
    let (mut tasks, mut changed) = (0, Instant::now());
    while tasks < count {
        tokio::time::sleep(SAMPLE_INTERVAL).await;
        while let Some(created) = creators.try_join_next() {
            created??;
        }
        worker.check()?;
        let at = start.elapsed().as_secs_f64();
        let sample = worker.sample(at)?.context("the worker runs")?;
        let completed = worker.completed.load(Ordering::Relaxed);
        if completed > tasks {
            (tasks, changed) = (completed, Instant::now());
        }
        ensure!(
            changed.elapsed() < STALL_TIMEOUT,
            "no task was completed for a minute"
        );
        samples.push(sample);
        file.add(Total {
            tasks: base.tasks + tasks,
            cpu_time: base.cpu_time + sample.cpu_time,
            time: base.time + at,
            memory: sample.memory,
            descriptors: sample.descriptors,
            threads: sample.threads,
            run: base.run + 1,
        })?;
    }
    let mut failures = wait_idle(&worker, &before).await?;
    let status = worker.stop().await?;
    ensure!(
        status.success(),
        "the worker failed after SIGTERM: {status}"
    );
    server.stop().await?;
    failures.extend(memory_failure(&samples));
    failures.extend(totals::cpu_failure(&file.totals));
    write_report(&flags.out, &file)?;
    Ok(failures)
}

/// Creates tasks as fast as the worker resolves them.
fn create_tasks(
    queue: &Arc<QueueClient>,
    count: u64,
    completed: &Arc<AtomicU64>,
) -> JoinSet<Result<()>> {
    let created = Arc::new(AtomicU64::new(0));
    let mut creators = JoinSet::new();
    for _ in 0..CREATORS {
        let (queue, created) = (Arc::clone(queue), Arc::clone(&created));
        let completed = Arc::clone(completed);
        creators.spawn(async move {
            let spec = tasks::no_op_task();
            while created.fetch_add(1, Ordering::Relaxed) < count {
                queue.create("no-op", &spec).await?;
                while created.load(Ordering::Relaxed) > completed.load(Ordering::Relaxed) + PENDING
                {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
            Ok(())
        });
    }
    creators
}

/// Waits until the idle worker holds no more than at the start; describes what it still holds after the time limit.
async fn wait_idle(worker: &Worker, before: &Sample) -> Result<Vec<String>> {
    let start = Instant::now();
    loop {
        let now = worker.sample(0.0)?.context("the worker runs")?;
        let leaks = idle_leaks(before, &now, 1);
        if leaks.is_empty() || start.elapsed() > IDLE_TIMEOUT {
            return Ok(leaks);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Checks the memory of this run's worker. Its descriptors and threads are those of the tasks of the moment.
fn memory_failure(samples: &[Sample]) -> Option<String> {
    assertions::growth_failure(&assertions::measure(&assertions::MEMORY, samples))
}

fn write_report(folder: &Path, file: &TotalsFile) -> Result<()> {
    let totals = &file.totals;
    let last = totals.last().context("no tasks")?;
    let mut text = format!(
        "{} no-op tasks in {} runs of {:.0} minutes in total, {CAPACITY} at a time, {}.\n\n\
         | tasks | CPU time per task, ms | tasks/s | memory, MiB | descriptors | threads |\n\
         | ---: | ---: | ---: | ---: | ---: | ---: |\n",
        last.tasks,
        last.run,
        last.time / 60.0,
        file.subject
    );
    let mut from = Total::default();
    for row in 1..=ROWS {
        let to = at(totals, last.tasks * row / ROWS).context("the last has all tasks")?;
        if to.tasks > from.tasks {
            text += &format!(
                "| {} | {:.2} | {:.0} | {:.1} | {} | {} |\n",
                to.tasks,
                cpu_per_task(from, to),
                (to.tasks - from.tasks) as f64 / (to.time - from.time),
                to.memory,
                to.descriptors,
                to.threads
            );
        }
        from = to;
    }
    println!("\n{text}");
    fs::write(folder.join("no-op.md"), text)?;
    let plots = [
        (
            "no-op-cpu",
            "CPU time of the worker per no-op task, µs",
            cpu_points(totals),
        ),
        (
            "no-op-memory",
            "Resident memory of the worker, MiB",
            points(totals, |it| it.memory),
        ),
    ];
    for (name, title, points) in plots {
        let series = Series {
            name: format!("{} tasks", last.tasks),
            points,
        };
        let svg = plot_over_time(title, &[series], 0.0);
        fs::write(folder.join(format!("soak-{name}.svg")), svg)?;
    }
    Ok(())
}

fn points(totals: &[Total], value: impl Fn(&Total) -> f64) -> Vec<(f64, f64)> {
    totals.iter().map(|it| (it.time, value(it))).collect()
}

/// Returns the CPU time of each interval between two samples.
fn cpu_points(totals: &[Total]) -> Vec<(f64, f64)> {
    let pairs = totals
        .windows(2)
        .filter(|pair| pair[1].tasks > pair[0].tasks);
    pairs
        .map(|pair| (pair[1].time, cpu_per_task(pair[0], pair[1]) * 1e3))
        .collect()
}
