//! The exit code of a worker, by the cause of its stop.

use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use runtime_core::{LifeCycleTracker, ShutdownNotice, ShutdownSource, StopStage, Stoppable};

/// The exit codes of a stop, which are those of generic-worker.
const IDLE: u8 = 68;
const INTERNAL_ERROR: u8 = 69;
const WORKER_MANAGER: u8 = 70;
const MACHINE_ENDS: u8 = 72;

/// The first cause of the stop of a worker.
#[derive(Clone, Debug, Default)]
pub(crate) struct ExitCause(Arc<OnceLock<u8>>);

impl ExitCause {
    /// Records a stop by the operator, after which the program succeeds.
    pub(crate) fn requested(&self) {
        self.set(0);
    }

    /// Keeps the first cause: later stops only make it more urgent.
    fn set(&self, code: u8) {
        let _ = self.0.set(code);
    }

    /// Returns the exit code. A worker without a recorded cause has finished its tasks.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.0.get().copied().unwrap_or_default())
    }

    /// Wraps a source, so that its first notice is recorded.
    pub(crate) fn watch(&self, source: Box<dyn ShutdownSource>) -> Box<dyn ShutdownSource> {
        let cause = self.clone();
        Box::new(WatchedSource { source, cause })
    }

    /// Returns the handle with which the worker stops itself after internal errors.
    pub(crate) fn internal(&self, stop: LifeCycleTracker) -> InternalStop {
        let cause = self.clone();
        InternalStop { stop, cause }
    }
}

#[derive(Debug)]
struct WatchedSource {
    source: Box<dyn ShutdownSource>,
    cause: ExitCause,
}

#[async_trait]
impl ShutdownSource for WatchedSource {
    fn name(&self) -> &'static str {
        self.source.name()
    }

    async fn next(&mut self) -> Option<ShutdownNotice> {
        let notice = self.source.next().await?;
        if notice.stage > StopStage::Running {
            self.cause.set(match self.source.name() {
                "idle-stop" => IDLE,
                "worker-manager" => WORKER_MANAGER,
                "max-life-time" => 0,
                // A cloud, worker-runner, or the end of the registration.
                _ => MACHINE_ENDS,
            });
        }
        Some(notice)
    }
}

/// Stops the worker after an internal error.
#[derive(Debug)]
pub(crate) struct InternalStop {
    stop: LifeCycleTracker,
    cause: ExitCause,
}

impl Stoppable for InternalStop {
    fn stop_now(&self) {
        self.cause.set(INTERNAL_ERROR);
        self.stop.stop_now();
    }

    fn stop_gracefully(&self) {
        self.cause.set(INTERNAL_ERROR);
        self.stop.stop_gracefully();
    }

    fn stop_within(&self, stage: StopStage, budget: Duration) {
        if stage > StopStage::Running {
            self.cause.set(INTERNAL_ERROR);
        }
        self.stop.stop_within(stage, budget);
    }
}
