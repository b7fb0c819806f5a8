//! Replacements for the locks, channels and tasks of parking_lot and tokio, with accesses that loom tracks.

pub(crate) use loom::sync::MutexGuard;

/// A mutex without poisoning.
#[derive(Default)]
pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap()
    }
}

/// Runs a task on a separate thread.
pub(crate) fn spawn(task: impl Future<Output = ()> + 'static) {
    loom::thread::spawn(move || loom::future::block_on(task));
}

/// The part of [`tokio::sync::watch`] that the cache uses: receivers wait for a value, and the sender waits until
/// all receivers are dropped.
///
/// The original wakes receivers in random order, but loom needs deterministic runs.
pub(crate) mod watch {
    use std::fmt;
    use std::ops::Deref;
    use std::sync::Arc;
    use std::task::{Context, Poll, Waker};

    use super::{Mutex, MutexGuard};

    pub(crate) struct Sender<T>(Arc<Mutex<ChannelState<T>>>);

    pub(crate) struct Receiver<T> {
        state: Arc<Mutex<ChannelState<T>>>,
        seen: u64,
    }

    /// All senders were dropped.
    #[derive(Debug)]
    pub(crate) struct Closed;

    /// The newest value.
    pub(crate) struct Ref<'a, T> {
        state: MutexGuard<'a, ChannelState<T>>,
        changed: bool,
    }

    struct ChannelState<T> {
        value: T,
        version: u64,
        senders: usize,
        receivers: usize,
        waiting: Vec<Waker>,
    }

    impl<T> ChannelState<T> {
        fn change(state: &Mutex<Self>, change: impl FnOnce(&mut Self)) {
            let mut state = state.lock();
            change(&mut state);
            let waiting = std::mem::take(&mut state.waiting);
            drop(state);
            waiting.into_iter().for_each(Waker::wake);
        }

        /// Returns the value that `look` returns, or registers the task to be woken by the next change.
        fn poll<R>(
            state: &Mutex<Self>,
            cx: &Context<'_>,
            look: impl FnOnce(&Self) -> Option<R>,
        ) -> Poll<R> {
            let mut state = state.lock();
            if let Some(found) = look(&state) {
                return Poll::Ready(found);
            }
            if !state.waiting.iter().any(|it| it.will_wake(cx.waker())) {
                state.waiting.push(cx.waker().clone());
            }
            Poll::Pending
        }
    }

    impl<T> Sender<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(Arc::new(Mutex(loom::sync::Mutex::new(ChannelState {
                value,
                version: 0,
                senders: 1,
                receivers: 0,
                waiting: Vec::new(),
            }))))
        }

        pub(crate) fn subscribe(&self) -> Receiver<T> {
            let mut state = self.0.lock();
            state.receivers += 1;
            Receiver {
                state: Arc::clone(&self.0),
                seen: state.version,
            }
        }

        pub(crate) fn send_replace(&self, value: T) {
            ChannelState::change(&self.0, |state| {
                state.value = value;
                state.version += 1;
            });
        }

        pub(crate) fn receiver_count(&self) -> usize {
            self.0.lock().receivers
        }

        pub(crate) async fn closed(&self) {
            let none = |state: &ChannelState<T>| (state.receivers == 0).then_some(());
            std::future::poll_fn(|cx| ChannelState::poll(&self.0, cx, none)).await;
        }
    }

    impl<T: Default> Default for Sender<T> {
        fn default() -> Self {
            Self::new(T::default())
        }
    }

    impl<T> Clone for Sender<T> {
        fn clone(&self) -> Self {
            self.0.lock().senders += 1;
            Self(Arc::clone(&self.0))
        }
    }

    impl<T> fmt::Debug for Sender<T> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_struct("Sender").finish_non_exhaustive()
        }
    }

    impl<T> Drop for Sender<T> {
        fn drop(&mut self) {
            ChannelState::change(&self.0, |state| state.senders -= 1);
        }
    }

    impl<T> Receiver<T> {
        pub(crate) async fn changed(&mut self) -> Result<(), Closed> {
            let seen = self.seen;
            let newer = |state: &ChannelState<T>| match state.version {
                version if version != seen => Some(Ok(version)),
                _ => (state.senders == 0).then_some(Err(Closed)),
            };
            self.seen =
                std::future::poll_fn(|cx| ChannelState::poll(&self.state, cx, newer)).await?;
            Ok(())
        }

        pub(crate) fn borrow(&self) -> Ref<'_, T> {
            let state = self.state.lock();
            let changed = state.version != self.seen;
            Ref { state, changed }
        }

        pub(crate) fn borrow_and_update(&mut self) -> Ref<'_, T> {
            let state = self.state.lock();
            let changed = state.version != self.seen;
            self.seen = state.version;
            Ref { state, changed }
        }
    }

    impl<T: Clone> Receiver<T> {
        pub(crate) async fn wait_for(
            &mut self,
            is_wanted: impl Fn(&T) -> bool,
        ) -> Result<T, Closed> {
            let wanted = |state: &ChannelState<T>| match &state.value {
                value if is_wanted(value) => Some(Ok(value.clone())),
                _ => (state.senders == 0).then_some(Err(Closed)),
            };
            std::future::poll_fn(|cx| ChannelState::poll(&self.state, cx, &wanted)).await
        }
    }

    impl<T> Drop for Receiver<T> {
        fn drop(&mut self) {
            ChannelState::change(&self.state, |state| state.receivers -= 1);
        }
    }

    impl<T> Ref<'_, T> {
        pub(crate) fn has_changed(&self) -> bool {
            self.changed
        }
    }

    impl<T> Deref for Ref<'_, T> {
        type Target = T;

        fn deref(&self) -> &T {
            &self.state.value
        }
    }
}
