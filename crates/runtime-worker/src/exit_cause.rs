//! The exit code of a worker, by the cause of its stop.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use runtime_core::{LifeCycleTracker, ShutdownNotice, ShutdownSource, StopStage, Stoppable};

/// The exit codes of a stop, which are those of generic-worker.
const IDLE: u8 = 68;
const INTERNAL_ERROR: u8 = 69;
const WORKER_MANAGER: u8 = 70;
const MACHINE_ENDS: u8 = 72;

/// Records the first cause of the stop of a worker, for the exit code of its program. Clones share the record.
///
/// ```
/// # use runtime_core::{Environment, LifeCycleTracker, Stoppable as _};
/// use runtime_worker::ExitCause;
///
/// let (stop, cause) = (LifeCycleTracker::new(), ExitCause::default());
/// // `Environment::builder(..).stop(cause.internal(stop.clone()))`, and each source of the `ShutdownManager` in
/// // `cause.watch(source)`.
/// cause.internal(stop).stop_gracefully();
/// assert_eq!(cause.exit_code(), 69);
/// ```
#[derive(Clone, Debug, Default)]
pub struct ExitCause(Arc<OnceLock<u8>>);

impl ExitCause {
    /// Records a stop by the operator, after which the program succeeds.
    pub fn requested(&self) {
        self.set(0);
    }

    /// Keeps the first cause: later stops only make it more urgent.
    fn set(&self, code: u8) {
        let _ = self.0.set(code);
    }

    /// Returns the exit code, as generic-worker has it. A worker without a recorded cause has finished its tasks.
    ///
    /// | code | cause |
    /// | --- | --- |
    /// | 0 | a request, the maximum number of tasks or life time |
    /// | 68 | `idle-stop` |
    /// | 69 | internal errors, after which the worker stopped itself |
    /// | 70 | `worker-manager` |
    /// | 72 | another source: the machine ends |
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        self.0.get().copied().unwrap_or_default()
    }

    /// Returns whether the worker manager does not need the worker any more: it was idle, or told to stop. A machine that
    /// exists only for the worker can be removed.
    #[must_use]
    pub fn is_unneeded(&self) -> bool {
        [IDLE, WORKER_MANAGER].contains(&self.exit_code())
    }

    /// Wraps a source, so that its first notice is recorded.
    #[must_use]
    pub fn watch(&self, source: Box<dyn ShutdownSource>) -> Box<dyn ShutdownSource> {
        let cause = self.clone();
        Box::new(WatchedSource { source, cause })
    }

    /// Returns the handle with which the worker stops itself after internal errors:
    /// [`Environment::stop`](runtime_core::Environment::stop).
    #[must_use]
    pub fn internal(&self, stop: LifeCycleTracker) -> impl Stoppable + use<> {
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
struct InternalStop {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::max_life_time::MaxLifeTime;
    use crate::plugins::IdleStop;

    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn first_cause_counts() {
        let (_plugin, idle) = IdleStop::with_source(MINUTE);
        let life_time = MaxLifeTime::new(2 * MINUTE);
        let cause = ExitCause::default();
        assert_eq!(cause.exit_code(), 0);
        assert!(cause.watch(Box::new(idle)).next().await.is_some());
        assert!(cause.watch(Box::new(life_time)).next().await.is_some());
        cause.internal(LifeCycleTracker::new()).stop_now();
        assert_eq!(cause.exit_code(), IDLE);
        assert!(cause.is_unneeded());
    }

    #[test]
    fn deadline_alone_is_no_cause() {
        let (stop, cause) = (LifeCycleTracker::new(), ExitCause::default());
        let internal = cause.internal(stop.clone());
        internal.stop_within(StopStage::Running, MINUTE);
        assert_eq!((cause.exit_code(), stop.stage()), (0, StopStage::Running));
        internal.stop_within(StopStage::Now, MINUTE);
        assert_eq!((cause.exit_code(), stop.stage()), (69, StopStage::Now));
        assert!(!cause.is_unneeded());
    }
}
