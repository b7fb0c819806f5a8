//! The liveness and readiness of a worker.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// The liveness and readiness of a worker. Clones share the state.
///
/// ```
/// # use std::time::Duration;
/// # use runtime_monitoring::status::Health;
/// let health = Health::new();
/// let claiming = health.heartbeat("the claim loop", Duration::from_secs(600));
/// health.set_ready(true);
/// claiming.beat();
/// assert!(health.is_alive() && health.is_ready());
/// ```
#[derive(Clone, Default)]
pub struct Health(Arc<Mutex<HealthState>>);

#[derive(Default)]
struct HealthState {
    is_ready: bool,
    heartbeats: Vec<HeartbeatState>,
    next_id: u64,
}

struct HeartbeatState {
    id: u64,
    name: String,
    last: Instant,
    timeout: Duration,
}

impl Health {
    /// Creates the health of a worker that is alive but not ready.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets whether the worker accepts tasks. Set it when the worker has started, and clear it when it starts to stop.
    pub fn set_ready(&self, is_ready: bool) {
        self.0.lock().is_ready = is_ready;
    }

    /// Requires a heartbeat at least once per `timeout`, until the result is dropped.
    pub fn heartbeat(&self, name: impl Into<String>, timeout: Duration) -> Heartbeat {
        let mut state = self.0.lock();
        let id = state.next_id;
        state.next_id += 1;
        state.heartbeats.push(HeartbeatState {
            id,
            name: name.into(),
            last: Instant::now(),
            timeout,
        });
        Heartbeat {
            health: self.clone(),
            id,
        }
    }

    /// Returns whether no heartbeat is overdue.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.problems().is_empty()
    }

    /// Returns whether the worker is alive and accepts tasks.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        // A separate statement, because `is_alive` takes the lock again.
        let is_ready = self.0.lock().is_ready;
        is_ready && self.is_alive()
    }

    /// Returns a line per overdue heartbeat.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let (state, now) = (self.0.lock(), Instant::now());
        let overdue = state.heartbeats.iter().filter_map(|heartbeat| {
            let elapsed = now.duration_since(heartbeat.last);
            (elapsed > heartbeat.timeout).then(|| {
                let (name, seconds) = (&heartbeat.name, elapsed.as_secs());
                format!("no heartbeat from {name} for {seconds} s")
            })
        });
        overdue.collect()
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Health")
            .field("is_ready", &self.is_ready())
            .field("problems", &self.problems())
            .finish()
    }
}

/// The sender of a heartbeat. Dropping it ends the requirement.
#[derive(Debug)]
#[must_use = "dropping it ends the monitoring of the heartbeat"]
pub struct Heartbeat {
    health: Health,
    id: u64,
}

impl Heartbeat {
    /// Sends a heartbeat.
    pub fn beat(&self) {
        let mut state = self.health.0.lock();
        let mut heartbeats = state.heartbeats.iter_mut();
        if let Some(heartbeat) = heartbeats.find(|it| it.id == self.id) {
            heartbeat.last = Instant::now();
        }
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        let mut state = self.health.0.lock();
        state.heartbeats.retain(|it| it.id != self.id);
    }
}
