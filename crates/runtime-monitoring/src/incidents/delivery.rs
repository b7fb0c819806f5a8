//! Delivers incidents to a service in the background.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use runtime_core::Monitor;
use runtime_http::Backoff;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::incident::Incident;
use super::pending::{DeliveryCounts, DeliveryMetrics, PendingQueue};
use super::reporters::Reporter;
use crate::metrics::Metrics;

/// The bound of the random delay after the first failure. Each further failure doubles it.
const INITIAL_RETRY_DELAY: Duration = Duration::from_secs(1);

const MAX_RETRY_DELAY: Duration = Duration::from_secs(300);

/// The time after which a delivery is dropped and retried.
const MAX_DELIVERY_TIME: Duration = Duration::from_secs(120);

/// Sends incidents to a service, such as an error tracker.
#[async_trait]
pub trait IncidentTransport: Send + 'static {
    /// Sends an incident.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped if the time limit of [`IncidentQueue::stop`] expires, or after two minutes; the delivery is
    /// then retried. A delivery that panics counts as refused.
    async fn deliver(&mut self, incident: &Incident) -> Delivery;
}

/// The result of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The service accepted the incident.
    Delivered,
    /// The service rejected the incident for good.
    Refused,
    /// A transient failure. The queue retries after at least this duration.
    RetryAfter(Duration),
}

/// A queue of incidents and the task that delivers them. Dropping it stops the task.
///
/// Reporting never waits: if the queue is full, the incident is dropped and counted.
#[derive(Debug)]
#[must_use = "dropping it stops the deliveries"]
pub struct IncidentQueue {
    pending: Arc<PendingQueue<Arc<Incident>>>,
    task: JoinHandle<()>,
}

impl IncidentQueue {
    /// Starts the deliveries, with at most `capacity` waiting incidents.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn start(capacity: usize, transport: impl IncidentTransport) -> Self {
        let pending = Arc::new(PendingQueue::new(capacity));
        let task = tokio::spawn(run(Arc::clone(&pending), transport));
        Self { pending, task }
    }

    /// Counts incidents in the metrics `monitoring.incidents-sent` and `monitoring.incidents-dropped`.
    pub fn with_metrics(self, metrics: &Metrics) -> Self {
        self.pending.set_metrics(DeliveryMetrics {
            sent: metrics.counter("monitoring.incidents-sent"),
            dropped: metrics.counter("monitoring.incidents-dropped"),
        });
        self
    }

    /// Returns the reporter that enqueues incidents, to add to [`Reporters`](super::Reporters).
    #[must_use]
    pub fn reporter(&self) -> Arc<dyn Reporter> {
        Arc::clone(&self.pending) as _
    }

    /// Returns the numbers of delivered, refused, dropped and waiting incidents.
    #[must_use]
    pub fn counts(&self) -> DeliveryCounts {
        self.pending.counts()
    }

    /// Delivers the waiting incidents within `time_limit` and stops. The remaining ones are dropped and counted.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops the deliveries immediately.
    pub async fn stop(mut self, time_limit: Duration) -> DeliveryCounts {
        self.pending.close();
        // Bounds retries as well: with the service unreachable, the task would retry forever.
        if timeout(time_limit, &mut self.task).await.is_err() {
            self.task.abort();
        }
        // Nothing remains unless the time limit expired.
        self.pending.drop_remaining();
        self.pending.counts()
    }
}

impl Drop for IncidentQueue {
    fn drop(&mut self) {
        self.pending.close();
        self.task.abort();
        self.pending.drop_remaining();
    }
}

impl Reporter for PendingQueue<Arc<Incident>> {
    fn report(&self, incident: &Arc<Incident>) {
        self.push(Arc::clone(incident));
    }
}

/// Delivers one incident at a time, in order. A failed incident blocks the ones behind it, which a service that cannot be
/// reached would refuse as well.
async fn run(pending: Arc<PendingQueue<Arc<Incident>>>, mut transport: impl IncidentTransport) {
    let mut backoff = Backoff::new(INITIAL_RETRY_DELAY);
    while let Some(incident) = pending.oldest().await {
        // A transport is foreign code. If it hangs or panics, the incidents behind this one must not be lost as well.
        // The panic is not reported as an incident, which the same transport would have to deliver.
        let monitor = Monitor::null();
        let deliver = monitor.capture_panic_async("deliver", transport.deliver(&incident));
        let delivery = match timeout(MAX_DELIVERY_TIME, deliver).await {
            Ok(Ok(delivery)) => delivery,
            Ok(Err(panic)) => {
                tracing::error!(panic = panic.message, "the transport of incidents panicked");
                Delivery::Refused
            }
            Err(_) => Delivery::RetryAfter(Duration::ZERO),
        };
        match delivery {
            Delivery::RetryAfter(requested) => {
                // The longer of both: a service that asks for a short delay may fail for hours.
                sleep(requested.max(backoff.next_delay(MAX_RETRY_DELAY))).await;
            }
            result => {
                pending.finish_oldest(result == Delivery::Delivered);
                backoff.reset();
            }
        }
    }
}
