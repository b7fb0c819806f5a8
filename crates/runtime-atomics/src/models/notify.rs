//! A loom version of [`tokio::sync::Notify`].
//!
//! It implements the part of the contract that this crate relies on: `notify_waiters` wakes every future
//! *created* before the call, polled or not, and no other.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use loom::sync::Mutex;

#[derive(Default)]
pub(crate) struct Notify {
    state: Mutex<State>,
}

#[derive(Default)]
/// The waiters, and the number of `notify_waiters` calls. After such a call, an earlier waiter reads a higher
/// number than at its creation.
struct State {
    calls: usize,
    next: usize,
    waiting: BTreeMap<usize, Waker>,
}

impl Notify {
    pub(crate) fn notify_waiters(&self) {
        let mut state = self.state.lock().unwrap();
        state.calls += 1;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        waiting.into_values().for_each(Waker::wake);
    }

    pub(crate) fn notified_owned(self: Arc<Self>) -> OwnedNotified {
        let mut state = self.state.lock().unwrap();
        state.next += 1;
        let (id, calls) = (state.next, state.calls);
        drop(state);
        OwnedNotified {
            notify: self,
            id,
            calls,
        }
    }
}

pub(crate) struct OwnedNotified {
    notify: Arc<Notify>,
    id: usize,
    calls: usize,
}

impl Future for OwnedNotified {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let waker = cx.waker().clone();
        let mut state = self.notify.state.lock().unwrap();
        if state.calls != self.calls {
            return Poll::Ready(());
        }
        let replaced = state.waiting.insert(self.id, waker);
        drop(state);
        drop(replaced);
        Poll::Pending
    }
}

impl Drop for OwnedNotified {
    fn drop(&mut self) {
        let removed = self.notify.state.lock().unwrap().waiting.remove(&self.id);
        drop(removed);
    }
}
