//! When a worker should no longer trust itself.

use parking_lot::Mutex;
use runtime_core::{ExceptionReason, Monitor, Stoppable};

use crate::Resolution;

/// Counts internal errors in a row, and stops the worker when there are too many.
///
/// One such error says little about the next task. When nothing but such errors comes, the machine is
/// broken, and a worker that goes on only burns tasks that another one could run.
#[derive(Debug)]
pub(crate) struct Health {
    in_a_row: Mutex<u32>,
    most: Option<u32>,
}

impl Health {
    pub(crate) fn new(most: Option<u32>) -> Self {
        Self {
            in_a_row: Mutex::default(),
            most,
        }
    }

    /// Notes how a task ended.
    pub(crate) fn note(&self, resolution: Resolution, monitor: &Monitor, worker: &dyn Stoppable) {
        let in_a_row = match resolution {
            Resolution::Exception(ExceptionReason::InternalError) => self.add(),
            Resolution::Completed | Resolution::Failed => {
                *self.in_a_row.lock() = 0;
                return;
            }
            // Says nothing about the machine.
            _ => return,
        };
        monitor.count("internal-errors", 1);
        if self.most == Some(in_a_row) {
            monitor.error(format_args!(
                "{in_a_row} tasks in a row ended with an internal error; the worker stops"
            ));
            worker.stop_gracefully();
        }
    }

    fn add(&self) -> u32 {
        let mut in_a_row = self.in_a_row.lock();
        *in_a_row = in_a_row.saturating_add(1);
        *in_a_row
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use runtime_core::{LifeCycleTracker, StopStage};

    const BROKEN: Resolution = Resolution::Exception(ExceptionReason::InternalError);

    fn stage_after(resolutions: &[Resolution]) -> StopStage {
        let (health, worker) = (Health::new(Some(3)), LifeCycleTracker::new());
        for resolution in resolutions {
            health.note(*resolution, &Monitor::null(), &worker);
        }
        worker.stage()
    }

    #[test]
    fn internal_errors_in_a_row_stop_the_worker() {
        assert_eq!(stage_after(&[BROKEN; 2]), StopStage::Running);
        assert_eq!(stage_after(&[BROKEN; 3]), StopStage::Graceful);
    }

    #[test]
    fn a_task_that_ran_shows_that_the_machine_works() {
        let mixed = [BROKEN, BROKEN, Resolution::Failed, BROKEN, BROKEN];
        assert_eq!(stage_after(&mixed), StopStage::Running);
    }

    #[test]
    fn what_is_not_the_workers_fault_does_not_count() {
        let malformed = Resolution::Exception(ExceptionReason::MalformedPayload);
        assert_eq!(stage_after(&[malformed; 9]), StopStage::Running);
        assert_eq!(
            stage_after(&[BROKEN, BROKEN, malformed, BROKEN]),
            StopStage::Graceful
        );
    }
}
