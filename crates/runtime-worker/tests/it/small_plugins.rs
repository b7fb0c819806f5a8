//! Small plugins: log prefix, resource usage, stop on error, and one that fails.

use async_trait::async_trait;
use runtime_core::{LifeCycleTracker, StopStage, TaskError};
use runtime_mocks::MockMonitor;
use runtime_worker::plugins::{LogPrefix, StopOnError};
use runtime_worker::{Plugin, TaskPlugin, TaskRun, Verdict, WorkerBuilder};

use crate::support::{TestBed, sh};

#[tokio::test]
async fn log_prefix_is_in_every_log() {
    let bed = TestBed::new().await;
    let task_id = bed.create(sh("true"));
    let prefix = LogPrefix::new([("image", "debian-13")]);
    let running = bed.start(bed.worker().plugin(prefix));
    bed.resolved(&task_id).await;
    running.stop().await;
    let log = bed.log(&task_id).await;
    assert!(log.contains("] image: debian-13\n"), "{log}");
}

/// A plugin whose last stage fails with an error that it has reported itself.
#[derive(Debug)]
struct ReportedFailure;

#[async_trait]
impl Plugin for ReportedFailure {
    fn name(&self) -> &'static str {
        "reported-failure"
    }

    async fn new_task_plugin(&self, _: &TaskRun) -> Result<Option<Box<dyn TaskPlugin>>, TaskError> {
        Ok(Some(Box::new(Self)))
    }
}

#[async_trait]
impl TaskPlugin for ReportedFailure {
    async fn finished(&mut self, _: Verdict) -> Result<(), TaskError> {
        Err(TaskError::NonFatalInternal)
    }
}

#[tokio::test]
async fn reported_error_is_not_reported_again() {
    let bed = TestBed::new().await;
    let (monitor, recorded) = MockMonitor::new();
    let task_id = bed.create(sh("true"));
    let running = bed.start(bed.worker_with_monitor(monitor).plugin(ReportedFailure));
    let status = bed.resolved(&task_id).await;
    running.stop().await;
    assert_eq!(status.state_and_reason(), "exception/internal-error");
    assert!(recorded.reports().is_empty(), "{:?}", recorded.reports());
}

#[cfg(target_os = "linux")]
mod usage {
    use runtime_worker::plugins::ResourceUsage;

    use super::*;

    #[tokio::test]
    async fn usage_of_cancelled_task_is_logged() {
        let bed = TestBed::new().await;
        let marker = bed.marker("started");
        // The worker has to know of the start: a command that is cancelled before has no usage.
        let script = format!("sleep 1; echo > {}; exec sleep 600", marker.display());
        let task_id = bed.create(sh(&script));
        let running = bed.start(bed.worker().plugin(ResourceUsage::new()));
        bed.wait_for_file(&marker).await;
        bed.cancel(&task_id);
        bed.wait_for_reports(1).await;
        running.stop().await;
        let log = bed.log(&task_id).await;
        assert!(
            log.contains("] Resources: ") && log.contains("CPU time"),
            "{log}"
        );
        let usage = bed.reports()[0].usage;
        assert!(usage.cpu.is_some(), "{usage:?}");
    }
}

/// Fails every task.
#[derive(Debug)]
struct FailingPlugin(fn() -> TaskError);

#[async_trait]
impl Plugin for FailingPlugin {
    fn name(&self) -> &'static str {
        "broken"
    }

    async fn new_task_plugin(&self, _: &TaskRun) -> Result<Option<Box<dyn TaskPlugin>>, TaskError> {
        Err((self.0)())
    }
}

const INTERNAL_ERROR: &str = "exception/internal-error";

#[tokio::test]
async fn stop_on_error_stops_after_one_error() {
    let bed = TestBed::new().await;
    let stop = LifeCycleTracker::new();
    let task_id = bed.create(sh("true"));
    let worker = bed
        .stoppable_worker(&stop)
        .plugin(StopOnError)
        .plugin(FailingPlugin(|| TaskError::NonFatalInternal));
    bed.run_until_stopped(worker, &stop).await;
    let status = bed.resolved(&task_id).await;
    assert_eq!(status.state_and_reason(), INTERNAL_ERROR);
    assert_eq!(stop.stage(), StopStage::Graceful);
}

/// Runs a worker that fails every task, until it stops. Returns the number of tasks that it ran.
async fn tasks_until_stop(
    error: fn() -> TaskError,
    change: impl FnOnce(WorkerBuilder) -> WorkerBuilder,
) -> usize {
    let bed = TestBed::new().await;
    let stop = LifeCycleTracker::new();
    for _ in 0..6 {
        bed.create(sh("true"));
    }
    let worker = bed.stoppable_worker(&stop).capacity(1);
    let worker = change(worker.plugin(FailingPlugin(error)));
    bed.run_until_stopped(worker, &stop).await;
    assert_eq!(stop.stage(), StopStage::Graceful);
    bed.resolutions().len()
}

#[tokio::test]
async fn fatal_error_stops_the_worker() {
    let tasks = tasks_until_stop(|| TaskError::FatalInternal, |worker| worker).await;
    assert_eq!(tasks, 1);
}

#[tokio::test]
async fn unknown_errors_stop_the_worker_after_five() {
    let tasks = tasks_until_stop(|| TaskError::other("unknown"), |worker| worker).await;
    assert_eq!(tasks, 5);
}

#[tokio::test]
async fn unknown_error_can_stop_at_once() {
    let limit = |worker: WorkerBuilder| worker.max_consecutive_internal_errors(Some(1));
    let tasks = tasks_until_stop(|| TaskError::other("unknown"), limit).await;
    assert_eq!(tasks, 1);
}

#[tokio::test]
async fn documentation_has_all_sections_and_the_schema() {
    let bed = TestBed::new().await;
    let worker = bed.worker().build().expect("a valid worker");
    let text = worker.documentation("The worker");
    for part in [
        "# The worker\n",
        "## Artifacts\n",
        "## Commands\n",
        "## Payload\n",
        "\"maxRunTime\"",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}
