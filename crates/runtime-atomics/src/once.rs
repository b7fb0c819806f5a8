//! An action that runs at most once, with an awaitable end.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use crate::sys::{AtomicBool, Notify, Ordering, OwnedNotified};

/// Runs the first of several calls, and lets others await its end. Clones share the state.
///
/// Unlike [`std::sync::Once`], a later call does not block until the first has ended: it returns `false`
/// immediately, so it is allowed in async code and destructors. To await the end of the first call, use [`wait`](Self::wait).
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
///     () = &mut stopped => unreachable!("not stopped yet"),
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

// Two flags: a call must be exclusive from its start, but waiters may only continue after its end.
struct Inner {
    claimed: AtomicBool,
    done: AtomicBool,
    ended: Arc<Notify>,
}

impl Once {
    /// Creates a `Once` whose action has not run.
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

    /// Runs `f` if this is the first call, and returns whether it was.
    ///
    /// Exactly one of several concurrent calls returns `true`. The others return `false` without waiting for
    /// `f`, and so does a call from within `f`.
    ///
    /// # Panics
    ///
    /// Propagates a panic of `f`. The call still counts as done: waiters are woken, and no later call
    /// runs.
    pub fn call(&self, f: impl FnOnce()) -> bool {
        // Exclusive because of the swap alone. A caller that gets `false` learns nothing about the
        // writes of the first call: for those, `done` is read with acquire.
        if self.inner.claimed.swap(true, Ordering::AcqRel) {
            return false;
        }
        let _ending = Ending(&self.inner);
        f();
        true
    }

    /// Returns whether the first call has ended. Writes of the call are visible to a caller that sees `true`.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.inner.done.load(Ordering::Acquire)
    }

    /// Waits until the first call has ended; returns immediately if it has.
    ///
    /// # Cancel safety
    ///
    /// Safe: dropping the future only stops waiting.
    pub async fn wait(&self) {
        self.done().await;
    }

    /// Returns an owned future for the end of the first call. The future can be stored in a struct, polled by
    /// `&mut` in a `select!`, or moved into a task.
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

/// Marks the call as done when dropped. This is a destructor, so that a panic does not leave waiters asleep.
struct Ending<'a>(&'a Inner);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        // Before the notification: a woken waiter that still read `false` would sleep forever.
        self.0.done.store(true, Ordering::Release);
        self.0.ended.notify_waiters();
    }
}

/// The future returned by [`Once::done`]; stays ready once the first call has ended.
///
/// # Cancel safety
///
/// Safe: dropping the future only stops waiting.
#[must_use = "futures do nothing unless polled"]
pub struct Done {
    inner: Arc<Inner>,
    // Boxed, so that `Done` is `Unpin`. Created by the first poll that has to wait.
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
            // Created before the second read of `done`: an end after that read wakes it.
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
