//! A counter of running work that refuses new work while it drains.

use std::fmt;
use std::sync::Arc;

use crate::sys::{AtomicUsize, Notify, Ordering};

/// The lowest bit of the state marks a draining group; the other bits are the count.
///
/// One word holds both, so that `add` checks the mark and counts in a single atomic update: with two
/// words, a drain between the two steps would miss the added work.
const DRAINING: usize = 1;
/// The state of a count of one.
const ONE: usize = 2;

/// Counts running work, and refuses new work while it drains. Clones share the count.
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
    /// The count and the [`DRAINING`] bit.
    state: AtomicUsize,
    decremented: Arc<Notify>,
}

impl WaitGroup {
    /// Creates a group with a count of zero.
    #[must_use]
    pub fn new() -> Self {
        let inner = Inner {
            state: AtomicUsize::new(0),
            decremented: Arc::default(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Adds `n` to the count until the guard is dropped.
    ///
    /// A draining group refuses even an `n` of 0: `Ok` always means that the group accepts work. To hand a part of
    /// a count to other work while the group drains, [split](Guard::split) a guard.
    ///
    /// # Errors
    ///
    /// [`DrainingError`] if the group drains, which is permanent. The count is unchanged.
    ///
    /// # Panics
    ///
    /// If the count would exceed half of `usize::MAX`.
    pub fn add(&self, n: usize) -> Result<Guard, DrainingError> {
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
            Err(_) => Err(DrainingError),
        }
    }

    /// Returns the count.
    #[must_use]
    pub fn count(&self) -> usize {
        count_of(self.inner.state.load(Ordering::Acquire))
    }

    /// Returns whether the group refuses new work.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.inner.state.load(Ordering::Acquire) & DRAINING != 0
    }

    /// Refuses all further `add` calls. The count remains until its guards are dropped.
    pub fn drain(&self) {
        // No notification: the count is unchanged, and it is all that waiters look at.
        self.inner.state.fetch_or(DRAINING, Ordering::AcqRel);
    }

    /// Waits until the count is zero; returns immediately if it is.
    ///
    /// Unless the group drains, the count may have risen again when this returns.
    ///
    /// # Cancel safety
    ///
    /// Safe: dropping the future only stops waiting.
    pub async fn wait(&self) {
        self.wait_for_less_than(1).await;
    }

    /// Waits until the count is below `n`; returns immediately if it is.
    ///
    /// This method reserves no part of the count: if one guard is dropped, two waiters may both return and
    /// both add. To limit concurrency strictly, use a [`tokio::sync::Semaphore`].
    ///
    /// # Panics
    ///
    /// If `n` is 0.
    ///
    /// # Cancel safety
    ///
    /// Safe: dropping the future only stops waiting.
    pub async fn wait_for_less_than(&self, n: usize) {
        assert!(n > 0, "no count is less than 0");
        self.inner.wait_until(|| self.count() < n).await;
    }

    /// Waits until the count is zero and drains the group in the same atomic step, so that nothing can be
    /// added in between.
    ///
    /// The group accepts work during the wait, so the wait may never end. To refuse new work immediately,
    /// call [`drain`](Self::drain) first. If another caller drains the group in the meantime, this method
    /// still waits for a count of zero.
    ///
    /// # Cancel safety
    ///
    /// Safe: a dropped future has drained the group only if the count had reached zero.
    pub async fn wait_and_drain(&self) {
        let drained = |state| (count_of(state) == 0).then_some(state | DRAINING);
        self.inner
            .wait_until(|| self.inner.update(drained).is_ok())
            .await;
    }
}

impl Inner {
    /// Updates the state atomically unless `f` returns `None`; returns the previous state.
    fn update(&self, f: impl FnMut(usize) -> Option<usize>) -> Result<usize, usize> {
        self.state
            // Acquire: a caller that finds a count of zero sees the writes of all work that was
            // counted. The decrements are read-modify-writes, so they form one release sequence,
            // and a read of the last one synchronizes with all of them.
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, f)
    }

    fn subtract(&self, n: usize) {
        // Never below zero: each guard subtracts what it has added or was given by a split.
        self.state.fetch_sub(shifted(n), Ordering::AcqRel);
        // After every decrement, not only at zero: `wait_for_less_than` waits for any count.
        self.decremented.notify_waiters();
    }

    async fn wait_until(&self, reached: impl Fn() -> bool) {
        loop {
            // Created before the check: a `Notified` receives every `notify_waiters` after its creation, even
            // before its first poll. Created after the check, it would miss a decrement in between.
            let decremented = Arc::clone(&self.decremented).notified_owned();
            if reached() {
                return;
            }
            decremented.await;
        }
    }
}

/// Returns the state of a count of `n` in a group that does not drain.
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

/// Holds a part of a [`WaitGroup`]'s count until it is dropped.
#[derive(Debug)]
#[must_use = "dropping the guard decrements the count at once"]
pub struct Guard {
    group: WaitGroup,
    n: usize,
}

impl Guard {
    // Only a name for the drop, which decrements.
    /// Decrements the count, like dropping the guard.
    pub fn done(self) {}

    /// Moves `n` of this guard's count to a new guard. The count of the group is unchanged, so this also
    /// works while the group drains.
    ///
    /// # Panics
    ///
    /// If the guard holds less than `n`.
    pub fn split(&mut self, n: usize) -> Self {
        self.n = self
            .n
            .checked_sub(n)
            .expect("a guard cannot give away more than it holds");
        Self {
            group: self.group.clone(),
            n,
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.group.inner.subtract(self.n);
    }
}

/// The error of adding to a draining [`WaitGroup`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no new work is accepted while the group drains")]
pub struct DrainingError;
