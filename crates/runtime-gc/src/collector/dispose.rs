//! One disposal, which runs on its own task.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{Instant, timeout};

use crate::disposable::DisposeError;
use crate::registry::Entry;
use crate::report::{DisposalResult, FailedDisposal, FreedResource, SlowDisposal};
use crate::rule::EvictionReason;
use crate::shared::SharedRegistry;
use crate::text::error_chain;

/// A disposal of a claimed resource.
///
/// Runs on its own task, so that it continues when the collection is dropped. At its end, even by a panic or
/// by the end of the runtime, the resource leaves the state `Disposing`. Otherwise its space would count as
/// about to be freed forever.
#[derive(Debug)]
pub(super) struct Disposal {
    shared: Arc<SharedRegistry>,
    victim: Entry,
    reason: EvictionReason,
    /// The collection that waits for the result; `None` after the soft timeout.
    collection: Option<UnboundedSender<DisposalResult>>,
    is_settled: bool,
}

impl Disposal {
    pub(super) fn new(
        shared: &Arc<SharedRegistry>,
        victim: Entry,
        reason: EvictionReason,
        collection: UnboundedSender<DisposalResult>,
    ) -> Self {
        Self {
            shared: Arc::clone(shared),
            victim,
            reason,
            collection: Some(collection),
            is_settled: false,
        }
    }

    pub(super) async fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let disposable = Arc::clone(&self.victim.disposable);
        // Fails only if the semaphore is closed, which it never is.
        let permit = shared.disposal_permits.acquire().await;
        let limit = shared.config.dispose_timeout;
        // The limit starts with the permit: waiting for other disposals does not count.
        let mut disposal = pin!(timeout(limit, disposable.dispose()));
        let soft_limit = shared.config.dispose_soft_timeout;
        let result = match timeout(soft_limit, &mut disposal).await {
            Ok(result) => result,
            Err(_) => {
                self.exceed_soft_timeout();
                // Returned early, or a few hanging disposals (a dead network mount) would block all others.
                drop(permit);
                disposal.await
            }
        };
        match result {
            Ok(Ok(())) => self.freed(),
            Ok(Err(DisposeError::InUseElsewhere)) => self.in_use_elsewhere(),
            Ok(Err(error)) => self.failed(error_chain(&error)),
            // Dropping the future does not stop work on a blocking thread. The resource is
            // quarantined and stays claimed, because its files may still be changing.
            Err(_) => self.failed(format!("timed out after {limit:?}")),
        }
    }

    /// Lets the collection continue with other resources.
    fn exceed_soft_timeout(&mut self) {
        self.shared.registry().mark_overdue(self.victim.id);
        self.report(DisposalResult::Slow(SlowDisposal {
            name: self.name(),
            after: self.shared.config.dispose_soft_timeout,
        }));
        // The result will be part of a later report.
        self.collection = None;
    }

    fn freed(&mut self) {
        self.shared.remove_disposed(&self.victim);
        self.settle(DisposalResult::Freed(FreedResource {
            name: self.name(),
            class: self.victim.class,
            footprint: self.victim.footprint,
            reason: self.reason,
        }));
    }

    /// Releases the claim. Use outside this process is not a failure, so the delay does not grow.
    fn in_use_elsewhere(&mut self) {
        let retry_in = self.shared.config.retry_delay(1);
        let until = Instant::now() + retry_in;
        let mut registry = self.shared.registry();
        registry.mark_in_use_elsewhere(self.victim.id, until);
        drop(registry);
        self.settle_failed(error_chain(&DisposeError::InUseElsewhere), 0, retry_in);
    }

    fn failed(&mut self, error: String) {
        let config = &self.shared.config;
        let retry_at = |failures| Instant::now() + config.retry_delay(failures);
        let failures = self.shared.registry().quarantine(self.victim.id, retry_at);
        self.settle_failed(error, failures, config.retry_delay(failures));
    }

    fn settle_failed(&mut self, error: String, failures: u32, retry_in: Duration) {
        self.settle(DisposalResult::Failed(FailedDisposal {
            name: self.name(),
            error,
            failures,
            retry_in,
        }));
    }

    fn settle(&mut self, result: DisposalResult) {
        self.is_settled = true;
        self.report(result);
    }

    fn report(&self, result: DisposalResult) {
        match &self.collection {
            // Fails if the collection was dropped, which loses the report only.
            Some(collection) => drop(collection.send(result)),
            None => self.shared.add_late_result(result),
        }
        // After the registry was updated, which the collections that this wakes read.
        self.shared.settled.send_modify(|count| *count += 1);
    }

    fn name(&self) -> String {
        self.victim.disposable.name().into_owned()
    }
}

impl Drop for Disposal {
    fn drop(&mut self) {
        if !self.is_settled {
            let error = if std::thread::panicking() {
                "disposal panicked"
            } else {
                "disposal was cancelled"
            };
            self.failed(error.to_owned());
        }
    }
}
