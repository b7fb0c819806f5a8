//! Progress of fetches in the log of a task.

use runtime_core::{TaskContext, error_chain};

use crate::progress::{FetchProgress, FetchStage, ProgressListener, Retrying};

/// A listener that writes the start, the progress, the failed attempts and the end of each fetch to a task log.
#[derive(Clone, Debug)]
pub struct TaskLogProgress {
    task: TaskContext,
}

impl TaskLogProgress {
    /// Creates a listener that writes to the log of `task`.
    #[must_use]
    pub fn new(task: &TaskContext) -> Self {
        Self { task: task.clone() }
    }
}

impl ProgressListener for TaskLogProgress {
    fn progress(&self, progress: &FetchProgress) {
        match progress.stage {
            FetchStage::Started => self.task.log(format_args!("Fetching {}", progress.subject)),
            FetchStage::Running => self.task.log(format_args!("Fetching {progress}")),
            FetchStage::Finished => self.task.log(format_args!("Fetched {progress}")),
            FetchStage::Stopped => self.task.log(format_args!("Stopped fetching {progress}")),
        }
    }

    fn retrying(&self, retrying: &Retrying<'_>) {
        self.task.log(format_args!(
            "Attempt {} to fetch {} failed, retrying in {:.1?}: {}",
            retrying.attempts,
            retrying.subject,
            retrying.delay,
            error_chain(retrying.cause)
        ));
    }
}
