//! Sends incidents to somebody else, in the background.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use runtime_core::monitor::Counter;
use serde::Serialize;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::{Incident, Reporter};
use crate::Metrics;

/// The first wait after a failure; each one more doubles it.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// The longest wait between two tries.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// Delivers incidents to a service, such as one that shows errors to operators.
#[async_trait]
pub trait Deliver: Send + 'static {
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
pub struct Forwarder {
    queue: Arc<Queue>,
    task: JoinHandle<()>,
}

/// What became of the incidents so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Forwarded {
    /// The service has them.
    pub delivered: u64,
    /// The service did not want them.
    pub refused: u64,
    /// The queue was full when they came, or the time to stop ran out.
    pub dropped: u64,
    /// They are in the queue.
    pub waiting: u64,
}

struct Queue {
    capacity: usize,
    state: Mutex<State>,
    /// Something was pushed, or the queue was closed.
    changed: Notify,
    counters: OnceLock<Counters>,
}

/// The counters of all queues together, if somebody wants them.
struct Counters {
    sent: Counter,
    dropped: Counter,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Arc<Incident>>,
    /// Counts, in which `waiting` is left at zero.
    counts: Forwarded,
    is_closed: bool,
}

impl Forwarder {
    /// Starts to deliver, with room for `capacity` incidents that wait.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn start(capacity: usize, deliver: impl Deliver) -> Self {
        let queue = Arc::new(Queue {
            capacity: capacity.max(1),
            state: Mutex::default(),
            changed: Notify::new(),
            counters: OnceLock::new(),
        });
        let task = tokio::spawn(run(Arc::clone(&queue), deliver));
        Self { queue, task }
    }

    /// Counts what becomes of incidents as `monitoring.incidents-sent` and `monitoring.incidents-dropped`.
    pub fn with_metrics(self, metrics: &Metrics) -> Self {
        let counters = Counters {
            sent: metrics.counter("monitoring.incidents-sent"),
            dropped: metrics.counter("monitoring.incidents-dropped"),
        };
        // It is empty, since nobody else can set it.
        let _ = self.queue.counters.set(counters);
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

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.queue.close();
        self.task.abort();
    }
}

impl Reporter for Queue {
    fn report(&self, incident: &Arc<Incident>) {
        let mut state = self.state.lock();
        if state.is_closed || state.waiting.len() >= self.capacity {
            state.counts.dropped += 1;
            drop(state);
            return self.count(|counters| counters.dropped.add(1));
        }
        state.waiting.push_back(Arc::clone(incident));
        drop(state);
        self.changed.notify_one();
    }
}

impl Queue {
    fn counts(&self) -> Forwarded {
        let state = self.state.lock();
        Forwarded {
            waiting: state.waiting.len() as u64,
            ..state.counts
        }
    }

    fn close(&self) {
        self.state.lock().is_closed = true;
        self.changed.notify_one();
    }

    fn drop_rest(&self) {
        let mut state = self.state.lock();
        let rest = state.waiting.drain(..).len() as u64;
        state.counts.dropped += rest;
        drop(state);
        self.count(|counters| counters.dropped.add(rest));
    }

    fn count(&self, count: impl FnOnce(&Counters)) {
        if let Some(counters) = self.counters.get() {
            count(counters);
        }
    }

    /// The oldest incident, which stays in the queue; `None` once the queue is closed and empty.
    async fn oldest(&self) -> Option<Arc<Incident>> {
        loop {
            {
                let state = self.state.lock();
                match state.waiting.front() {
                    Some(incident) => return Some(Arc::clone(incident)),
                    None if state.is_closed => return None,
                    None => {}
                }
            }
            self.changed.notified().await;
        }
    }

    fn done(&self, is_delivered: bool) {
        let mut state = self.state.lock();
        if state.waiting.pop_front().is_some() {
            match is_delivered {
                true => state.counts.delivered += 1,
                false => state.counts.refused += 1,
            }
            drop(state);
            if is_delivered {
                self.count(|counters| counters.sent.add(1));
            }
        }
    }
}

async fn run(queue: Arc<Queue>, mut deliver: impl Deliver) {
    let mut wait = FIRST_WAIT;
    while let Some(incident) = queue.oldest().await {
        match deliver.deliver(&incident).await {
            Delivery::Later(asked) => {
                sleep(asked.max(wait)).await;
                wait = (wait * 2).min(LONGEST_WAIT);
            }
            ended => {
                queue.done(ended == Delivery::Delivered);
                wait = FIRST_WAIT;
            }
        }
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}
