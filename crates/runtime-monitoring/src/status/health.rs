//! Whether the worker is alive, and whether it can take tasks.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// What makes up a worker's health. Clones are the same.
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
pub struct Health(Arc<Inner>);

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    is_ready: bool,
    hearts: Vec<Heart>,
    next: u64,
}

struct Heart {
    number: u64,
    name: String,
    last: Instant,
    patience: Duration,
}

impl Health {
    /// Makes the health of a worker that is alive and not ready yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Says whether the worker can take tasks: no sooner than it has started, and no more once it stops.
    pub fn set_ready(&self, is_ready: bool) {
        self.0.state.lock().is_ready = is_ready;
    }

    /// Watches something that must give a sign of life at least this often.
    pub fn heartbeat(&self, name: impl Into<String>, patience: Duration) -> Heartbeat {
        let mut state = self.0.state.lock();
        let number = state.next;
        state.next += 1;
        state.hearts.push(Heart {
            number,
            name: name.into(),
            last: Instant::now(),
            patience,
        });
        Heartbeat {
            health: self.clone(),
            number,
        }
    }

    /// Whether everything that is watched gave a sign of life in time.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.problems().is_empty()
    }

    /// Whether the worker is alive and can take tasks.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.0.state.lock().is_ready && self.is_alive()
    }

    /// What gave no sign of life in time, in a line each.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let (state, now) = (self.0.state.lock(), Instant::now());
        let silent = state.hearts.iter().filter_map(|heart| {
            let silence = now.duration_since(heart.last);
            (silence > heart.patience).then(|| {
                let (name, seconds) = (&heart.name, silence.as_secs());
                format!("{name} gave no sign of life for {seconds} s")
            })
        });
        silent.collect()
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

/// Gives signs of life; dropping it ends the watch.
#[derive(Debug)]
#[must_use = "dropping it ends the watch"]
pub struct Heartbeat {
    health: Health,
    number: u64,
}

impl Heartbeat {
    /// Gives a sign of life.
    pub fn beat(&self) {
        let mut state = self.health.0.state.lock();
        let mut hearts = state.hearts.iter_mut();
        if let Some(heart) = hearts.find(|heart| heart.number == self.number) {
            heart.last = Instant::now();
        }
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        let mut state = self.health.0.state.lock();
        state.hearts.retain(|heart| heart.number != self.number);
    }
}
