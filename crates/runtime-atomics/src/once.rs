//! Something that is done at most once, and whose end can be waited for.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use crate::sys::{AtomicBool, Notify, Ordering, OwnedNotified};

/// Runs the first of many calls, and tells everyone when it has ended. Clones are the same `Once`.
///
/// This differs from [`std::sync::Once`] in that a call that came too late does not block until the
/// first has ended: it returns `false` at once, so that it may come from async code, a signal handler's
/// task or a destructor. Who has to know that the work is done, [waits](Self::wait).
///
/// # Example
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let stop = runtime_atomics::Once::new();
/// let mut stopped = stop.done();
///
/// tokio::select! {
///     () = &mut stopped => unreachable!("nobody asked to stop"),
///     () = tokio::task::yield_now() => {}
/// }
///
/// assert!(stop.call(|| println!("stopping")));
/// stopped.await;
/// # }
/// ```
#[derive(Clone)]
pub struct Once {
    inner: Arc<Inner>,
}

struct Inner {
    claimed: AtomicBool,
    done: AtomicBool,
    ended: Arc<Notify>,
}

impl Once {
    /// Makes a `Once` that has not run.
    #[must_use]
    pub fn new() -> Self {
        let inner = Inner {
            claimed: AtomicBool::new(false),
            done: AtomicBool::new(false),
            ended: Arc::default(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Runs `f` if this is the first call, and tells whether it was.
    ///
    /// Of calls that race exactly one gives `true`. The others give `false` without waiting for `f`,
    /// and so does a call from inside `f`.
    ///
    /// # Panics
    ///
    /// Passes on a panic of `f`. The call counts as done all the same: waiters wake up, and no later
    /// call runs.
    pub fn call(&self, f: impl FnOnce()) -> bool {
        if self.inner.claimed.swap(true, Ordering::AcqRel) {
            return false;
        }
        let _ending = Ending(&self.inner);
        f();
        true
    }

    /// Whether the first call has ended. What it did is visible to who sees `true`.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.inner.done.load(Ordering::Acquire)
    }

    /// Waits until the first call has ended; returns at once if it has.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: dropping the future only stops waiting.
    pub async fn wait(&self) {
        self.done().await;
    }

    /// A future for the end of the first call that borrows nothing: to keep in a struct, to select on by
    /// `&mut`, to move into a task.
    #[must_use = "futures do nothing unless polled"]
    pub fn done(&self) -> Done {
        Done {
            inner: Arc::clone(&self.inner),
            ended: None,
        }
    }
}

impl Default for Once {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Once")
            .field("is_done", &self.is_done())
            .finish()
    }
}

/// Marks the call as done when it goes, also by a panic.
struct Ending<'a>(&'a Inner);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.done.store(true, Ordering::Release);
        self.0.ended.notify_waiters();
    }
}

/// The future that [`Once::done`] gives: ready when the first call has ended, and from then on always.
///
/// # Cancel safety
///
/// Nothing is lost: dropping the future only stops waiting.
#[must_use = "futures do nothing unless polled"]
pub struct Done {
    inner: Arc<Inner>,
    ended: Option<Pin<Box<OwnedNotified>>>,
}

impl Future for Done {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { inner, ended } = self.get_mut();
        loop {
            if inner.done.load(Ordering::Acquire) {
                return Poll::Ready(());
            }
            // Made before the second look, so that it hears of an end that comes after that look.
            let Some(notified) = ended else {
                *ended = Some(Box::pin(Arc::clone(&inner.ended).notified_owned()));
                continue;
            };
            ready!(notified.as_mut().poll(cx));
            *ended = None;
        }
    }
}

impl fmt::Debug for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_done = self.inner.done.load(Ordering::Relaxed);
        f.debug_struct("Done").field("is_done", &is_done).finish()
    }
}
