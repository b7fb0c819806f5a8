//! Reports the progress of fetches.

use std::sync::Arc;

use runtime_fetcher::{FetchProgress, FetchStage};

use crate::observer::{Observer, TaskEvent, notify};
use crate::task_run::TaskRun;

/// Returns a listener that reports the progress of a fetch to the task's log and to the observer.
pub(super) fn fetch_reporter(
    task_run: &TaskRun,
    observer: &Arc<dyn Observer>,
) -> impl Fn(&FetchProgress) + Send + Sync + 'static + use<> {
    let (task_run, observer) = (task_run.clone(), Arc::clone(observer));
    move |progress| {
        task_run.context.log(progress);
        let (run, subject): (_, &str) = (task_run.context.run(), &progress.subject);
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
                complete: matches!(progress.stage, FetchStage::Finished),
            },
            // A retry changes nothing that an observer shows.
            FetchStage::Retrying { .. } => return,
        };
        notify(&*observer, &event, task_run.monitor());
    }
}
