//! Stand-ins for what the cache takes from parking_lot and tokio, whose accesses loom can see.

pub(crate) use loom::sync::MutexGuard;

/// A lock without poisoning.
#[derive(Default)]
pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap()
    }
}

/// Runs a task on a thread of its own.
pub(crate) fn spawn(task: impl Future<Output = ()> + 'static) {
    loom::thread::spawn(move || loom::future::block_on(task));
}

/// The part of [`tokio::sync::watch`] that the cache stands on: receivers wait for a value, and the
/// sender waits until there is no receiver.
pub(crate) mod watch {
    use std::sync::Arc;
    use std::task::{Poll, Waker};

    use super::Mutex;

    pub(crate) struct Sender<T>(Arc<Mutex<State<T>>>);

    pub(crate) struct Receiver<T>(Arc<Mutex<State<T>>>);

    /// The sender is gone.
    #[derive(Debug)]
    pub(crate) struct Gone;

    struct State<T> {
        value: T,
        receivers: usize,
        is_gone: bool,
        waiting: Vec<Waker>,
    }

    impl<T> State<T> {
        fn change(state: &Mutex<Self>, change: impl FnOnce(&mut Self)) {
            let mut state = state.lock();
            change(&mut state);
            let waiting = std::mem::take(&mut state.waiting);
            drop(state);
            waiting.into_iter().for_each(Waker::wake);
        }
    }

    impl<T> Sender<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(Arc::new(Mutex(loom::sync::Mutex::new(State {
                value,
                receivers: 0,
                is_gone: false,
                waiting: Vec::new(),
            }))))
        }

        pub(crate) fn subscribe(&self) -> Receiver<T> {
            self.0.lock().receivers += 1;
            Receiver(Arc::clone(&self.0))
        }

        pub(crate) fn send_replace(&self, value: T) {
            State::change(&self.0, |state| state.value = value);
        }

        pub(crate) fn receiver_count(&self) -> usize {
            self.0.lock().receivers
        }

        pub(crate) async fn closed(&self) {
            std::future::poll_fn(|cx| {
                let mut state = self.0.lock();
                if state.receivers == 0 {
                    return Poll::Ready(());
                }
                state.waiting.push(cx.waker().clone());
                Poll::Pending
            })
            .await;
        }
    }

    impl<T> Drop for Sender<T> {
        fn drop(&mut self) {
            State::change(&self.0, |state| state.is_gone = true);
        }
    }

    impl<T: Clone> Receiver<T> {
        pub(crate) async fn wait_for(&mut self, is_wanted: impl Fn(&T) -> bool) -> Result<T, Gone> {
            std::future::poll_fn(|cx| {
                let mut state = self.0.lock();
                if is_wanted(&state.value) {
                    return Poll::Ready(Ok(state.value.clone()));
                }
                if state.is_gone {
                    return Poll::Ready(Err(Gone));
                }
                state.waiting.push(cx.waker().clone());
                Poll::Pending
            })
            .await
        }
    }

    impl<T> Drop for Receiver<T> {
        fn drop(&mut self) {
            State::change(&self.0, |state| state.receivers -= 1);
        }
    }
}
