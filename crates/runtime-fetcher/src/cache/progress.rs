//! One fetch tells all who wait for it.

use std::sync::Arc;
use std::time::Duration;

use runtime_caching::{ConstructionProgress as Step, NewFolder};

use crate::progress::Meter;
use crate::{FetchContext, FetchProgress, ProgressListener, Retrying, Stage};

/// What is being done, between those two below.
const COMING: &str = "fetching";
const ENDED: &str = "fetched";

/// Hears a fetch and tells it to those who wait, through the cache.
pub(super) struct Forwarded {
    draft: NewFolder,
    /// Of the one who asked first, who hears of retries as well.
    first: Arc<dyn ProgressListener>,
}

impl Forwarded {
    pub(super) fn new(draft: NewFolder, first: Arc<dyn ProgressListener>) -> Self {
        Self { draft, first }
    }
}

impl ProgressListener for Forwarded {
    fn progress(&self, progress: &FetchProgress) {
        let what = match progress.stage {
            Stage::Started | Stage::Running => COMING,
            Stage::Finished | Stage::Stopped => ENDED,
        };
        self.draft.progress(progress.bytes, progress.total, what);
    }

    fn retrying(&self, retrying: &Retrying<'_>) {
        self.first.retrying(retrying);
    }
}

/// Hears the cache and tells it to one who waits. It is silent when the input was there.
pub(super) struct Relay<'a> {
    subject: &'a str,
    context: &'a FetchContext,
    meter: Option<Meter>,
    done: u64,
}

impl<'a> Relay<'a> {
    pub(super) fn new(subject: &'a str, context: &'a FetchContext) -> Self {
        Self {
            subject,
            context,
            meter: None,
            done: 0,
        }
    }

    pub(super) fn step(&mut self, step: &Step) {
        // The fetch has waited for its interval already.
        let start = || Meter::start(self.subject, self.context.listener(), Duration::ZERO);
        let meter = self.meter.get_or_insert_with(start);
        meter.position(self.done.min(step.done), step.total);
        match step.done.saturating_sub(self.done) {
            0 => {}
            // The end is told as such, and not in between as well.
            more if step.activity == ENDED => meter.count(more),
            more => meter.add(more),
        }
        self.done = step.done;
    }

    pub(super) fn finish(self) {
        if let Some(meter) = self.meter {
            meter.finish();
        }
    }
}
