//! Panics of engines, plugins and observers never stop the worker.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use runtime_core::monitor::{
    Counter, Histogram, IncidentReport, LogRecord, MonitorSink, MonitorTags, NullSink,
};
use runtime_core::{ExceptionReason, LifeCycleTracker, Monitor, TaskError};
use runtime_mocks::MockMonitor;
use runtime_mocks::taskcluster::{Fault, FaultRule};
use runtime_worker::admission::{Admission, AdmissionRefusal};
use runtime_worker::observer::{Observer, TaskEvent};
use runtime_worker::plugins::TaskLog;
use runtime_worker::{Plugin, Resolution, TaskPlugin, TaskRun, Timing};

use super::stage_hook::{STAGES, Stage, StageAction, StageHook};
use crate::support::{TestBed, live_log, process_engine, sh};

#[tokio::test]
async fn plugin_panic_is_an_internal_error() {
    for stage in STAGES {
        let bed = TestBed::new().await;
        let hook = StageHook::new(stage, StageAction::Panic);
        let task_id = bed.create(sh("true"));
        let running = bed.start(bed.worker().plugin(hook.clone()));
        let status = bed.resolved(&task_id).await;
        running.stop().await;
        assert_eq!(
            status.state_and_reason(),
            "exception/internal-error",
            "{stage:?}"
        );
        assert_eq!(
            hook.disposed(),
            usize::from(stage != Stage::New),
            "{stage:?}"
        );
        if stage != Stage::Finished {
            let log = bed.log(&task_id).await;
            assert!(
                log.contains("Internal error of the worker, incident "),
                "{stage:?}: {log}"
            );
        }
        bed.assert_no_leftovers();
    }
}

/// A plugin that panics in `exception` and `dispose`.
#[derive(Clone, Debug)]
struct LatePanic(&'static str);

#[async_trait]
impl Plugin for LatePanic {
    fn name(&self) -> &'static str {
        "late-panic"
    }

    async fn new_task_plugin(&self, _: &TaskRun) -> Result<Option<Box<dyn TaskPlugin>>, TaskError> {
        Ok(Some(Box::new(self.clone())))
    }
}

#[async_trait]
impl TaskPlugin for LatePanic {
    async fn prepare(&mut self) -> Result<(), TaskError> {
        match self.0 {
            "exception" => Err(TaskError::unavailable("test")),
            _ => Ok(()),
        }
    }

    async fn exception(&mut self, _: &Resolution) -> Result<(), TaskError> {
        panic!("test panic in exception")
    }

    async fn dispose(self: Box<Self>) {
        panic!("test panic in dispose")
    }
}

#[tokio::test]
async fn late_panic_does_not_affect_other_plugins() {
    for (stage, expected) in [
        ("exception", "exception/resource-unavailable"),
        ("dispose", "completed"),
    ] {
        let bed = TestBed::new().await;
        let after = StageHook::new(Stage::Started, StageAction::Continue);
        let task_id = bed.create(sh("true"));
        let worker = bed.worker().plugin(LatePanic(stage));
        let running = bed.start(worker.plugin(after.clone()));
        assert_eq!(bed.resolved(&task_id).await.state_and_reason(), expected);
        running.stop().await;
        assert_eq!(after.disposed(), 1, "{stage}");
        bed.assert_no_leftovers();
    }
}

/// A sink that panics when the worker logs that a report failed.
#[derive(Debug)]
struct PanickingSink;

impl MonitorSink for PanickingSink {
    fn counter(&self, tags: &MonitorTags, name: &'static str) -> Counter {
        NullSink.counter(tags, name)
    }

    fn histogram(&self, tags: &MonitorTags, name: &'static str) -> Histogram {
        NullSink.histogram(tags, name)
    }

    fn log(&self, _: &MonitorTags, record: &LogRecord<'_>) {
        let message = record.message.to_string();
        assert!(!message.contains("cannot report"), "test panic");
    }

    fn report(&self, _: &MonitorTags, _: &IncidentReport<'_>) {}
}

#[tokio::test]
async fn panic_during_the_report_changes_no_report() {
    let bed = TestBed::new().await;
    let task_id = bed.create(sh("true"));
    // The queue accepts the report, but its answers are lost until the client gives up and the worker logs it.
    let lost = FaultRule::new("queue.reportCompleted", Fault::LostResponse);
    bed.taskcluster.inject(lost);
    let exceptions = bed.taskcluster.inject(FaultRule::new(
        "queue.reportException",
        Fault::Latency { millis: 0 },
    ));
    let running = bed.start(bed.worker_with_monitor(Monitor::new(Arc::new(PanickingSink))));
    let status = bed.resolved(&task_id).await;
    bed.wait_for_reports(1).await;
    running.stop().await;
    assert_eq!(status.state_and_reason(), "completed");
    assert_eq!(exceptions.hits(), 0, "no second report");
    bed.assert_no_leftovers();
}

/// An observer that panics at each event.
#[derive(Debug)]
struct PanickingObserver;

impl Observer for PanickingObserver {
    fn event(&self, _: &TaskEvent<'_>) {
        panic!("test panic")
    }
}

#[tokio::test]
async fn observer_panic_does_not_affect_the_task() {
    let bed = TestBed::new().await;
    let task_id = bed.create(sh("true"));
    let log = TaskLog::new()
        .live(live_log)
        .observer(Arc::new(PanickingObserver));
    let worker = bed
        .worker_without_plugins(Arc::new(process_engine()))
        .plugin(log);
    let running = bed.start(worker.observer(Arc::new(PanickingObserver)));
    assert_eq!(bed.resolved(&task_id).await.state_and_reason(), "completed");
    running.stop().await;
}

#[tokio::test]
async fn consecutive_internal_errors_stop_the_worker() {
    let bed = TestBed::new().await;
    let stop = LifeCycleTracker::new();
    for _ in 0..5 {
        bed.create(sh("true"));
    }
    let hook = StageHook::new(Stage::Prepare, StageAction::Panic);
    let worker = bed
        .stoppable_worker(&stop)
        .capacity(1)
        .max_consecutive_internal_errors(Some(3))
        .plugin(hook);
    bed.run_until_stopped(worker, &stop).await;
    let internal = Resolution::Exception(ExceptionReason::InternalError).to_string();
    assert_eq!(bed.resolutions(), [internal.as_str(); 3]);
}

/// An admission that panics or hangs at its first call.
#[derive(Debug)]
struct FaultyAdmission {
    hangs: bool,
    was_called: AtomicBool,
}

#[async_trait]
impl Admission for FaultyAdmission {
    async fn admit(&self) -> Result<(), AdmissionRefusal> {
        if self.was_called.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        if self.hangs {
            std::future::pending::<()>().await;
        }
        panic!("test panic")
    }
}

#[tokio::test]
async fn faulty_admission_only_delays_claims() {
    for (hangs, expected) in [
        (
            false,
            "not claiming: an admission failed: unexpected error: engine or plugin panicked: test panic",
        ),
        (true, "not claiming: an admission hangs"),
    ] {
        let bed = TestBed::new().await;
        let (monitor, recorded) = MockMonitor::new();
        let admission = FaultyAdmission {
            hangs,
            was_called: AtomicBool::new(false),
        };
        let mut timing = Timing::default();
        timing.stage_timeout = Duration::from_secs(1);
        timing.claim_retry_delay = Duration::from_millis(50);
        let worker = bed.worker_with_monitor(monitor).timing(timing);
        let task_id = bed.create(sh("true"));
        let running = bed.start(worker.admission(Arc::new(admission)));
        let status = bed.resolved(&task_id).await;
        running.stop().await;
        assert_eq!(status.state_and_reason(), "completed");
        assert!(recorded.has_line(expected), "{:?}", recorded.lines());
    }
}
