//! Who hears how an input arrives.

use std::sync::Arc;

use runtime_core::{Monitor, TaskContext};
use runtime_fetcher::{FetchProgress, ProgressListener, Retrying, Stage, TaskLogProgress};

use crate::record::tell;
use crate::{Observer, TaskEvent, TaskRun};

/// Tells a fetch to the log of the task and to the observer.
pub(super) struct Arrival {
    task: TaskContext,
    log: TaskLogProgress,
    observer: Arc<dyn Observer>,
    monitor: Monitor,
}

impl Arrival {
    pub(super) fn new(run: &TaskRun, observer: &Arc<dyn Observer>) -> Self {
        Self {
            task: run.context.clone(),
            log: TaskLogProgress::new(&run.context),
            observer: Arc::clone(observer),
            monitor: run.monitor().clone(),
        }
    }
}

impl ProgressListener for Arrival {
    fn progress(&self, progress: &FetchProgress) {
        self.log.progress(progress);
        let (run, subject): (_, &str) = (self.task.run(), &progress.subject);
        let (bytes, total) = (progress.bytes, progress.total);
        let event = match progress.stage {
            Stage::Started | Stage::Running => TaskEvent::Fetching {
                run,
                subject,
                bytes,
                total,
            },
            Stage::Finished | Stage::Stopped => TaskEvent::Fetched { run, subject },
        };
        tell(&*self.observer, &event, &self.monitor);
    }

    fn retrying(&self, retrying: &Retrying<'_>) {
        self.log.retrying(retrying);
    }
}
