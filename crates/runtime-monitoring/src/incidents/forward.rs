//! Sends incidents to somebody else, in the background.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use runtime_http::Backoff;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::queue::{Counters, Forwarded, Queue};
use super::{Incident, Reporter};
use crate::Metrics;

/// The first wait after a failure; each one more doubles it.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// The longest wait between two tries.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// Delivers incidents to a service, such as one that shows errors to operators.
#[async_trait]
pub trait IncidentTransport: Send + 'static {
    /// Delivers one.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped when the time to stop has run out.
    async fn deliver(&mut self, incident: &Incident) -> Delivery;
}

/// How a delivery ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The service has it.
    Delivered,
    /// The service does not want it, and will not want it later.
    Refused,
    /// The service cannot be reached, or asks to wait at least so long.
    Later(Duration),
}

/// A queue of incidents and the task that delivers them; dropping it ends the task.
///
/// Whoever reports never waits: an incident that finds the queue full is dropped and counted.
#[derive(Debug)]
#[must_use = "dropping it ends the deliveries"]
pub struct IncidentQueue {
    queue: Arc<Queue<Arc<Incident>>>,
    task: JoinHandle<()>,
}

impl IncidentQueue {
    /// Starts to deliver, with room for `capacity` incidents that wait.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn start(capacity: usize, deliver: impl IncidentTransport) -> Self {
        let queue = Arc::new(Queue::new(capacity));
        let task = tokio::spawn(run(Arc::clone(&queue), deliver));
        Self { queue, task }
    }

    /// Counts what becomes of incidents as `monitoring.incidents-sent` and `monitoring.incidents-dropped`.
    pub fn with_metrics(self, metrics: &Metrics) -> Self {
        self.queue.count_in(Counters {
            sent: metrics.counter("monitoring.incidents-sent"),
            dropped: metrics.counter("monitoring.incidents-dropped"),
        });
        self
    }

    /// What to add to [`Reporters`](super::Reporters).
    #[must_use]
    pub fn reporter(&self) -> Arc<dyn Reporter> {
        Arc::clone(&self.queue) as _
    }

    /// What became of the incidents so far.
    #[must_use]
    pub fn counts(&self) -> Forwarded {
        self.queue.counts()
    }

    /// Delivers what waits, for at most `patience`, and ends.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the deliveries at once.
    pub async fn stop(mut self, patience: Duration) -> Forwarded {
        self.queue.close();
        if timeout(patience, &mut self.task).await.is_err() {
            self.task.abort();
        }
        self.queue.drop_rest();
        self.queue.counts()
    }
}

impl Drop for IncidentQueue {
    fn drop(&mut self) {
        self.queue.close();
        self.task.abort();
        self.queue.drop_rest();
    }
}

async fn run(queue: Arc<Queue<Arc<Incident>>>, mut deliver: impl IncidentTransport) {
    let mut backoff = Backoff::new(FIRST_WAIT);
    while let Some(incident) = queue.oldest().await {
        match deliver.deliver(&incident).await {
            Delivery::Later(asked) => {
                sleep(asked.max(backoff.next_delay(LONGEST_WAIT))).await;
            }
            ended => {
                queue.done(ended == Delivery::Delivered);
                backoff.reset();
            }
        }
    }
}
