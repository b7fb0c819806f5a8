//! The limit on consecutive internal errors, after which a worker stops.

use parking_lot::Mutex;
use runtime_core::{ExceptionReason, Monitor, Stoppable};

use crate::resolution::Resolution;

/// Counts consecutive internal errors and stops the worker when there are too many.
///
/// A single internal error says little about the next task. Several in a row mean that the machine is
/// broken: the worker would use up retries of tasks that another worker could run.
#[derive(Debug)]
pub(crate) struct ConsecutiveErrorLimit {
    errors: Mutex<u32>,
    limit: Option<u32>,
}

impl ConsecutiveErrorLimit {
    pub(crate) fn new(limit: Option<u32>) -> Self {
        Self {
            errors: Mutex::default(),
            limit,
        }
    }

    /// Counts the resolution of a run.
    pub(crate) fn record(&self, resolution: Resolution, monitor: &Monitor, worker: &dyn Stoppable) {
        let errors = match resolution {
            Resolution::Exception(ExceptionReason::InternalError) => self.increment(),
            Resolution::Completed | Resolution::Failed => {
                *self.errors.lock() = 0;
                return;
            }
            // A malformed payload, a cancelled task or a lost claim neither proves nor disproves that the
            // machine works.
            _ => return,
        };
        monitor.count("internal-errors", 1);
        // Equality instead of `>=`: the stop is requested and logged once.
        if self.limit == Some(errors) {
            monitor.error(format_args!(
                "stopping the worker after {errors} consecutive internal errors"
            ));
            worker.stop_gracefully();
        }
    }

    fn increment(&self) -> u32 {
        let mut errors = self.errors.lock();
        *errors = errors.saturating_add(1);
        *errors
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use runtime_core::{LifeCycleTracker, StopStage};

    const INTERNAL_ERROR: Resolution = Resolution::Exception(ExceptionReason::InternalError);

    fn stage_after(resolutions: &[Resolution]) -> StopStage {
        let limit = ConsecutiveErrorLimit::new(Some(3));
        let worker = LifeCycleTracker::new();
        for resolution in resolutions {
            limit.record(*resolution, &Monitor::null(), &worker);
        }
        worker.stage()
    }

    #[test]
    fn consecutive_internal_errors_stop_the_worker() {
        assert_eq!(stage_after(&[INTERNAL_ERROR; 2]), StopStage::Running);
        assert_eq!(stage_after(&[INTERNAL_ERROR; 3]), StopStage::Graceful);
    }

    #[test]
    fn failed_task_resets_the_count() {
        let (error, failed) = (INTERNAL_ERROR, Resolution::Failed);
        let stage = stage_after(&[error, error, failed, error, error]);
        assert_eq!(stage, StopStage::Running);
    }

    #[test]
    fn other_exceptions_are_not_counted() {
        let malformed = Resolution::Exception(ExceptionReason::MalformedPayload);
        assert_eq!(stage_after(&[malformed; 9]), StopStage::Running);
    }

    #[test]
    fn other_exceptions_do_not_reset_the_count() {
        let malformed = Resolution::Exception(ExceptionReason::MalformedPayload);
        let stage = stage_after(&[INTERNAL_ERROR, INTERNAL_ERROR, malformed, INTERNAL_ERROR]);
        assert_eq!(stage, StopStage::Graceful);
    }
}
