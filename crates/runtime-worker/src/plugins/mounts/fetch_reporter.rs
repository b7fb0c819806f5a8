//! Reports the progress of fetches.

use std::sync::Arc;

use runtime_fetcher::{FetchProgress, FetchStage, ProgressListener, Retrying, TaskLogProgress};

use crate::observer::{Observer, TaskEvent, notify};
use crate::task_run::TaskRun;

/// Reports the progress of one fetch to the task's log and to the observer.
pub(super) struct FetchReporter {
    run: TaskRun,
    log: TaskLogProgress,
    observer: Arc<dyn Observer>,
}

impl FetchReporter {
    pub(super) fn new(run: &TaskRun, observer: &Arc<dyn Observer>) -> Self {
        Self {
            run: run.clone(),
            log: TaskLogProgress::new(&run.context),
            observer: Arc::clone(observer),
        }
    }
}

impl ProgressListener for FetchReporter {
    fn progress(&self, progress: &FetchProgress) {
        self.log.progress(progress);
        let (run, subject): (_, &str) = (self.run.context.run(), &progress.subject);
        let (bytes, total) = (progress.bytes, progress.total);
        let event = match progress.stage {
            FetchStage::Started | FetchStage::Running => TaskEvent::Fetching {
                run,
                subject,
                bytes,
                total,
            },
            FetchStage::Finished | FetchStage::Stopped => TaskEvent::FetchEnded {
                run,
                subject,
                complete: progress.stage == FetchStage::Finished,
            },
        };
        notify(&*self.observer, &event, self.run.monitor());
    }

    fn retrying(&self, retrying: &Retrying<'_>) {
        self.log.retrying(retrying);
    }
}
