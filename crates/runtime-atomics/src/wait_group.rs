//! Counts work in flight, and refuses more once it drains.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use crate::sys::{AtomicUsize, Notify, Ordering};

/// The lowest bit says that the group drains, the others count.
const DRAINING: usize = 1;
const ONE: usize = 2;

/// Counts work in flight, and refuses more once it drains. Clones are the same group.
///
/// # Example
///
/// ```
/// use runtime_atomics::WaitGroup;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let tasks = WaitGroup::new();
/// for _ in 0..10 {
///     // At most three run at a time.
///     tasks.wait_for_less_than(3).await;
///     let guard = tasks.add(1).expect("only `main` drains");
///     tokio::spawn(async move {
///         tokio::task::yield_now().await;
///         drop(guard);
///     });
/// }
/// tasks.wait_and_drain().await;
/// assert_eq!(tasks.to_string(), "0 in flight, draining");
/// # }
/// ```
#[derive(Clone)]
pub struct WaitGroup {
    inner: Arc<Inner>,
}

struct Inner {
    state: AtomicUsize,
    fewer: Arc<Notify>,
}

impl WaitGroup {
    /// Makes a group that counts nothing and accepts all.
    #[must_use]
    pub fn new() -> Self {
        let inner = Inner {
            state: AtomicUsize::new(0),
            fewer: Arc::default(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Counts `n` more, until the guard is dropped.
    ///
    /// # Errors
    ///
    /// [`Draining`] if the group drains; nothing is counted then. Once one call failed, all later ones do.
    ///
    /// # Panics
    ///
    /// If the count would not fit in half a `usize`.
    pub fn add(&self, n: usize) -> Result<Guard, Draining> {
        let added = |state: usize| match state & DRAINING {
            0 => Some(
                state
                    .checked_add(shifted(n))
                    .expect("the count of a wait group overflows"),
            ),
            _ => None,
        };
        match self.inner.update(added) {
            Ok(_) => Ok(Guard {
                group: self.clone(),
                n,
            }),
            Err(_) => Err(Draining),
        }
    }

    /// How many are counted now.
    #[must_use]
    pub fn count(&self) -> usize {
        count_of(self.inner.state.load(Ordering::Acquire))
    }

    /// Whether [`add`](Self::add) fails from now on.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.inner.state.load(Ordering::Acquire) & DRAINING != 0
    }

    /// Refuses everything from now on. What is counted stays counted until its guards are dropped.
    pub fn drain(&self) {
        self.inner.state.fetch_or(DRAINING, Ordering::AcqRel);
    }

    /// Waits until nothing is counted; returns at once if nothing is.
    ///
    /// Unless the group drains, more may be added by the time the caller goes on.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: dropping the future only stops waiting.
    pub async fn wait(&self) {
        self.wait_for_less_than(1).await;
    }

    /// Waits until fewer than `n` are counted; returns at once if that holds.
    ///
    /// It reserves nothing: of two that wait for the same place, both wake up. Where that matters, use a
    /// [`tokio::sync::Semaphore`].
    ///
    /// # Panics
    ///
    /// If `n` is 0, since a count is never less.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: dropping the future only stops waiting.
    pub async fn wait_for_less_than(&self, n: usize) {
        assert!(n > 0, "no count is less than 0");
        self.inner.wait_until(|| self.count() < n).await;
    }

    /// Waits until nothing is counted, and refuses everything from that moment on: nothing can be added
    /// between the last guard's end and the refusal.
    ///
    /// Until then the group accepts more, so this may wait for ever; call [`drain`](Self::drain) first to
    /// refuse at once. If somebody else drains meanwhile, this still waits until nothing is counted.
    ///
    /// # Cancel safety
    ///
    /// A dropped future has either drained the group, if the count had come to 0, or done nothing.
    pub async fn wait_and_drain(&self) {
        let drained = |state| (count_of(state) == 0).then_some(state | DRAINING);
        self.inner
            .wait_until(|| self.inner.update(drained).is_ok())
            .await;
    }
}

impl Inner {
    /// Changes the state in one step unless `f` gives `None`, and gives the state before.
    fn update(&self, f: impl FnMut(usize) -> Option<usize>) -> Result<usize, usize> {
        self.state
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, f)
    }

    fn done(&self, n: usize) {
        self.state.fetch_sub(shifted(n), Ordering::AcqRel);
        self.fewer.notify_waiters();
    }

    async fn wait_until(&self, reached: impl Fn() -> bool) {
        loop {
            // A future that exists before the look at the count hears of every end after it.
            let fewer = Arc::clone(&self.fewer).notified_owned();
            if reached() {
                return;
            }
            fewer.await;
        }
    }
}

fn shifted(n: usize) -> usize {
    n.checked_mul(ONE)
        .expect("the count of a wait group overflows")
}

fn count_of(state: usize) -> usize {
    state / ONE
}

impl Default for WaitGroup {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for WaitGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.inner.state.load(Ordering::Acquire);
        write!(f, "{} in flight", count_of(state))?;
        if state & DRAINING != 0 {
            f.write_str(", draining")?;
        }
        Ok(())
    }
}

impl fmt::Debug for WaitGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.inner.state.load(Ordering::Acquire);
        f.debug_struct("WaitGroup")
            .field("count", &count_of(state))
            .field("is_draining", &(state & DRAINING != 0))
            .finish()
    }
}

/// Keeps what [`WaitGroup::add`] counted in the count until it is dropped.
#[derive(Debug)]
#[must_use = "dropping the guard ends at once what was just added"]
pub struct Guard {
    group: WaitGroup,
    n: usize,
}

impl Guard {
    /// Ends what the guard counts; the same as dropping it, with a name that says so.
    pub fn done(self) {}

    /// Moves `n` of what this guard counts to a guard of their own. The group's count stays as it is, so
    /// this works while it drains.
    ///
    /// # Panics
    ///
    /// If the guard counts less than `n`.
    pub fn split(&mut self, n: usize) -> Self {
        self.n = self
            .n
            .checked_sub(n)
            .expect("a guard can be split into no more than it counts");
        Self {
            group: self.group.clone(),
            n,
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.group.inner.done(self.n);
    }
}

/// Says that a [`WaitGroup`] accepts no more, because it drains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draining;

impl fmt::Display for Draining {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing more is accepted, because what runs is being drained")
    }
}

impl Error for Draining {}
