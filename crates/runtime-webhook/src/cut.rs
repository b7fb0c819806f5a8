//! A switch that ends a connection, whoever holds its socket at that time.

use std::fmt;
#[cfg(feature = "public")]
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::registry::Hook;
use crate::sys::{AtomicBool, AtomicWaker, Mutex, Ordering};

/// The switch of one connection.
///
/// Reads, writes and the task that drives the connection each look at it, since after an upgrade only
/// the first two are left, and before it they may not be waiting for anything.
pub(crate) struct Cut {
    number: u64,
    is_cut: AtomicBool,
    /// Whether the connection is to end once it has answered what it was asked.
    is_finishing: AtomicBool,
    /// Whether its client may be sending a body that nobody has read to its end.
    is_unread: AtomicBool,
    wakers: [AtomicWaker; 3],
    /// The hook that the latest request went to, if it wants to be able to cut it.
    hook: Mutex<Option<Arc<Hook>>>,
}

/// Who looks.
#[derive(Clone, Copy)]
pub(crate) enum By {
    Reader,
    Writer,
    Driver,
}

impl Cut {
    pub(crate) fn new(number: u64) -> Self {
        Self {
            number,
            is_cut: AtomicBool::new(false),
            is_finishing: AtomicBool::new(false),
            is_unread: AtomicBool::new(false),
            wakers: Default::default(),
            hook: Mutex::new(None),
        }
    }

    /// The name of the connection within its server.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    pub(crate) fn cut(&self) {
        self.is_cut.store(true, Ordering::Release);
        for waker in &self.wakers {
            waker.wake();
        }
    }

    /// Asks whoever drives the connection to end it after the requests that it carries.
    pub(crate) fn finish(&self) {
        self.is_finishing.store(true, Ordering::Release);
        self.wakers[By::Driver as usize].wake();
    }

    /// Whether [`finish`](Self::finish) was called, for a driver that has called [`poll_cut`](Self::poll_cut).
    pub(crate) fn is_finishing(&self) -> bool {
        self.is_finishing.load(Ordering::Acquire)
    }

    /// A request came, with a body or without, or its body was read to its end.
    pub(crate) fn set_unread(&self, is_unread: bool) {
        self.is_unread.store(is_unread, Ordering::Relaxed);
    }

    pub(crate) fn is_unread(&self) -> bool {
        self.is_unread.load(Ordering::Relaxed)
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.is_cut.load(Ordering::Acquire)
    }

    /// Is ready once the connection is cut.
    pub(crate) fn poll_cut(&self, by: By, cx: &Context<'_>) -> Poll<()> {
        self.wakers[by as usize].register(cx.waker());
        // After registering: a cut in between either wakes the task or is seen here.
        match self.is_cut() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }

    /// Waits until the connection is cut.
    #[cfg(feature = "public")]
    pub(crate) async fn wait(&self) {
        poll_fn(|cx| self.poll_cut(By::Driver, cx)).await;
    }

    /// Changes the hook that can cut this connection.
    pub(crate) fn serves(&self, hook: Arc<Hook>) {
        let before = self.hook.lock().replace(Arc::clone(&hook));
        if let Some(before) = before.filter(|before| !Arc::ptr_eq(before, &hook)) {
            before.leave(self);
        }
    }

    /// Lets go of the hook: the connection went on to something that does not cut it, or away.
    pub(crate) fn serves_nothing(&self) {
        let before = self.hook.lock().take();
        if let Some(before) = before {
            before.leave(self);
        }
    }
}

impl fmt::Debug for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cut")
            .field("number", &self.number)
            .field("is_cut", &self.is_cut())
            .finish_non_exhaustive()
    }
}
