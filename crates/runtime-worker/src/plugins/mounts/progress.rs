//! Who hears how an input arrives.

use std::sync::Arc;

use runtime_core::TaskContext;
use runtime_fetcher::{Progress, ProgressListener, Retrying, Stage, TaskLog};

use crate::{Observer, TaskEvent};

/// Tells a fetch to the log of the task and to the observer.
pub(super) struct Arrival {
    task: TaskContext,
    log: TaskLog,
    observer: Arc<dyn Observer>,
}

impl Arrival {
    pub(super) fn new(task: &TaskContext, observer: &Arc<dyn Observer>) -> Self {
        Self {
            task: task.clone(),
            log: TaskLog::new(task),
            observer: Arc::clone(observer),
        }
    }
}

impl ProgressListener for Arrival {
    fn progress(&self, progress: &Progress) {
        self.log.progress(progress);
        let (run, subject): (_, &str) = (self.task.run(), &progress.subject);
        let (bytes, total) = (progress.bytes, progress.total);
        self.observer.event(&match progress.stage {
            Stage::Started | Stage::Running => TaskEvent::Fetching {
                run,
                subject,
                bytes,
                total,
            },
            Stage::Finished | Stage::Stopped => TaskEvent::Fetched { run, subject },
        });
    }

    fn retrying(&self, retrying: &Retrying<'_>) {
        self.log.retrying(retrying);
    }
}
