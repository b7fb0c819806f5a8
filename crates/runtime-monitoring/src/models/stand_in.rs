//! Stand-ins for what the queues take from parking_lot and tokio, whose accesses loom can see.

use std::future::poll_fn;
use std::ops::{Deref, DerefMut};
use std::task::{Poll, Waker};
use std::time::Duration;

/// A lock without poisoning.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        MutexGuard(Some(self.0.lock().unwrap()))
    }
}

/// Loom's guard, which is away while its thread waits.
pub(crate) struct MutexGuard<'a, T>(Option<loom::sync::MutexGuard<'a, T>>);

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect("nobody waits")
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.as_mut().expect("nobody waits")
    }
}

#[derive(Debug)]
pub(crate) struct Condvar(loom::sync::Condvar);

impl Condvar {
    pub(crate) fn new() -> Self {
        Self(loom::sync::Condvar::new())
    }

    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }

    pub(crate) fn wait_while<T>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        mut waits: impl FnMut(&mut T) -> bool,
    ) {
        while waits(guard) {
            let inner = guard.0.take().expect("nobody waits");
            guard.0 = Some(self.0.wait(inner).unwrap());
        }
    }

    /// Time does not pass in a model: what is awaited for seconds must come, and what for less has passed already.
    pub(crate) fn wait_while_for<T>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        waits: impl FnMut(&mut T) -> bool,
        time: Duration,
    ) -> Waited {
        if time >= Duration::from_secs(1) {
            self.wait_while(guard, waits);
        }
        Waited
    }
}

/// A wait whose time did not run out.
pub(crate) struct Waited;

impl Waited {
    pub(crate) fn timed_out(&self) -> bool {
        false
    }
}

/// The part of [`tokio::sync::Notify`] that the forwarder stands on: one task waits, and finds what came before.
#[derive(Debug)]
pub(crate) struct Notify(Mutex<Notified>);

#[derive(Debug, Default)]
struct Notified {
    came_before: bool,
    waiting: Option<Waker>,
}

impl Notify {
    pub(crate) fn new() -> Self {
        Self(Mutex::default())
    }

    pub(crate) fn notify_one(&self) {
        let mut state = self.0.lock();
        state.came_before = true;
        let waker = state.waiting.take();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
    }

    pub(crate) async fn notified(&self) {
        poll_fn(|cx| {
            let mut state = self.0.lock();
            if std::mem::take(&mut state.came_before) {
                return Poll::Ready(());
            }
            state.waiting = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}
