//! Engines and plugins that hang affect only their task.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::{Condvar, Mutex};
use runtime_core::{LifeCycleTracker, StopStage, TaskError};
use runtime_mocks::MockMonitor;
use runtime_worker::plugins::MaxRunTime;
use runtime_worker::{
    Engine, Exit, ExtractError, Plugin, ResultSet, Sandbox, SandboxBuilder, TaskPlugin, TaskRun,
    Timing,
};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::stage_hook::{STAGES, Stage, StageAction, StageHook};
use crate::support::{ManualTime, TestBed, sh};

/// An engine that hangs at one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HangingEngine {
    Builder,
    Start,
    Kill,
}

#[async_trait]
impl Engine for HangingEngine {
    fn name(&self) -> &'static str {
        "hanging"
    }

    fn payload_schema(&self) -> Value {
        json!({ "type": "object", "properties": {} })
    }

    async fn new_sandbox_builder(&self, _: &TaskRun) -> Result<Box<dyn SandboxBuilder>, TaskError> {
        if *self == Self::Builder {
            std::future::pending::<()>().await;
        }
        Ok(Box::new(*self))
    }
}

#[async_trait]
impl SandboxBuilder for HangingEngine {
    async fn start(self: Box<Self>) -> Result<Arc<dyn Sandbox>, TaskError> {
        if *self == Self::Start {
            std::future::pending::<()>().await;
        }
        Ok(Arc::new(*self))
    }
}

#[async_trait]
impl Sandbox for HangingEngine {
    async fn wait(&self) -> Result<Arc<dyn ResultSet>, TaskError> {
        std::future::pending().await
    }

    async fn kill(&self, _: Duration) {
        std::future::pending::<()>().await;
    }
}

#[tokio::test]
async fn task_of_hanging_engine_can_be_stopped() {
    for engine in [
        HangingEngine::Builder,
        HangingEngine::Start,
        HangingEngine::Kill,
    ] {
        let bed = TestBed::new().await;
        let (cancelled, returned) = (bed.create(json!({})), bed.create(json!({})));
        let stop = LifeCycleTracker::new();
        let running = bed.start(bed.stoppable_worker_without_plugins(Arc::new(engine), &stop));
        bed.wait_until_claimed(&cancelled).await;
        bed.wait_until_claimed(&returned).await;
        bed.cancel(&cancelled);
        bed.wait_for_reports(1).await;
        running.stop_now().await;
        assert_eq!(
            bed.resolved(&cancelled).await.state_and_reason(),
            "exception/canceled"
        );
        let status = bed.taskcluster.status(&returned).expect("an existing task");
        assert_eq!(
            status.runs[0].reason_resolved,
            Some("worker-shutdown"),
            "{engine:?}"
        );
        let expected = match engine {
            HangingEngine::Kill => StopStage::Graceful,
            HangingEngine::Builder | HangingEngine::Start => StopStage::Running,
        };
        assert_eq!(
            stop.stage(),
            expected,
            "only an engine that cannot kill stops the worker"
        );
        bed.assert_no_leftovers();
    }
}

#[tokio::test]
async fn time_limit_ends_a_task_that_cannot_be_killed() {
    let bed = TestBed::new().await;
    let task_id = bed.create(json!({ "maxRunTime": 10 }));
    let stop = LifeCycleTracker::new();
    let worker = bed.stoppable_worker_without_plugins(Arc::new(HangingEngine::Kill), &stop);
    let time = ManualTime::begin(&bed.taskcluster);
    let running = bed.start(worker.plugin(MaxRunTime::default()));
    time.advance_until(|| !bed.reports().is_empty()).await;
    drop(time);
    running.stop().await;
    assert_eq!(bed.resolutions(), ["exception/internal-error"]);
    let status = bed.resolved(&task_id).await;
    assert_eq!(status.state_and_reason(), "exception/internal-error");
    assert_eq!(stop.stage(), StopStage::Graceful);
}

#[tokio::test]
async fn hanging_stage_is_an_internal_error() {
    for (stage, method) in STAGES.into_iter().zip([
        "new_task_plugin",
        "prepare",
        "build_sandbox",
        "started",
        "stopped",
        "finished",
    ]) {
        let bed = TestBed::new().await;
        let (monitor, recorded) = MockMonitor::new();
        let hook = StageHook::new(stage, StageAction::Block);
        bed.create(sh("true"));
        let mut timing = Timing::default();
        timing.stage_timeout = Duration::from_secs(1);
        let worker = bed.worker_with_monitor(monitor).timing(timing);
        let running = bed.start(worker.plugin(hook.clone()));
        bed.wait_for_reports(1).await;
        running.stop().await;
        assert_eq!(bed.resolutions(), ["exception/internal-error"], "{method}");
        let expected = format!("`stage-hook` did not return from `{method}` within 1s");
        let reports = recorded.reports();
        assert!(
            reports.iter().any(|it| it.error.contains(&expected)),
            "{reports:?}"
        );
        assert_eq!(
            hook.disposed(),
            usize::from(stage != Stage::New),
            "{method}"
        );
        bed.assert_no_leftovers();
    }
}

/// A plugin that hangs in `dispose`.
#[derive(Clone, Copy, Debug)]
struct HangsInDispose;

#[async_trait]
impl Plugin for HangsInDispose {
    fn name(&self) -> &'static str {
        "hangs-in-dispose"
    }

    async fn new_task_plugin(&self, _: &TaskRun) -> Result<Option<Box<dyn TaskPlugin>>, TaskError> {
        Ok(Some(Box::new(*self)))
    }
}

#[async_trait]
impl TaskPlugin for HangsInDispose {
    async fn dispose(self: Box<Self>) {
        std::future::pending().await
    }
}

#[tokio::test]
async fn plugin_hanging_in_dispose_stops_the_worker() {
    let bed = TestBed::new().await;
    let stop = LifeCycleTracker::new();
    let task_id = bed.create(sh("true"));
    let worker = bed.stoppable_worker(&stop).plugin(HangsInDispose);
    bed.run_until_stopped(worker, &stop).await;
    assert_eq!(bed.resolved(&task_id).await.state_and_reason(), "completed");
    assert_eq!(stop.stage(), StopStage::Graceful);
    bed.assert_no_leftovers();
}

/// An engine whose results block in `drop` until a signal.
#[derive(Clone, Debug)]
struct SlowRemoval {
    dropping: Arc<Semaphore>,
    signal: Arc<(Mutex<bool>, Condvar)>,
    received: Arc<AtomicBool>,
}

#[async_trait]
impl Engine for SlowRemoval {
    fn name(&self) -> &'static str {
        "slow-removal"
    }

    fn payload_schema(&self) -> Value {
        json!({ "type": "object", "properties": {} })
    }

    async fn new_sandbox_builder(&self, _: &TaskRun) -> Result<Box<dyn SandboxBuilder>, TaskError> {
        Ok(Box::new(self.clone()))
    }
}

#[async_trait]
impl SandboxBuilder for SlowRemoval {
    async fn start(self: Box<Self>) -> Result<Arc<dyn Sandbox>, TaskError> {
        Ok(Arc::new(*self))
    }
}

#[async_trait]
impl Sandbox for SlowRemoval {
    async fn wait(&self) -> Result<Arc<dyn ResultSet>, TaskError> {
        Ok(Arc::new(SlowResult(self.clone())))
    }

    async fn kill(&self, _: Duration) {}
}

struct SlowResult(SlowRemoval);

#[async_trait]
impl ResultSet for SlowResult {
    fn exit(&self) -> Exit {
        Exit::Code(0)
    }

    async fn extract(&self, path: &str) -> Result<PathBuf, ExtractError> {
        Err(ExtractError::Missing {
            path: path.to_owned(),
        })
    }
}

impl Drop for SlowResult {
    fn drop(&mut self) {
        self.0.dropping.add_permits(1);
        let (signalled, condition) = &*self.0.signal;
        let mut signalled = signalled.lock();
        condition.wait_while_for(&mut signalled, |it| !*it, Duration::from_secs(30));
        self.0.received.store(*signalled, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn slow_removal_does_not_block_the_runtime() {
    let bed = TestBed::new().await;
    let engine = SlowRemoval {
        dropping: Arc::new(Semaphore::new(0)),
        signal: Arc::default(),
        received: Arc::default(),
    };
    let task_id = bed.create(json!({}));
    let running = bed.start(bed.worker_without_plugins(Arc::new(engine.clone())));
    assert_eq!(bed.resolved(&task_id).await.state_and_reason(), "completed");
    let dropping = engine.dropping.acquire().await;
    dropping.expect("an open semaphore").forget();
    // Sent by the only thread of the runtime, which must not be the one that drops the result.
    *engine.signal.0.lock() = true;
    engine.signal.1.notify_all();
    bed.wait_for_reports(1).await;
    running.stop().await;
    assert!(engine.received.load(Ordering::SeqCst));
}
