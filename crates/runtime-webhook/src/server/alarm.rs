//! A timer for moments that are put off far more often than they come.

use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant as StdInstant};

use hyper::rt;
use parking_lot::Mutex;
use tokio::time::{Instant, Sleep, sleep_until};

/// Rings at a deadline, and costs nothing while the deadline moves on.
///
/// A timer of tokio takes a lock that all threads share whenever it is set, which a connection would do
/// twice for each request. This one stays set for the deadline that it was set for first; when that comes,
/// and the deadline is a later one by then, it is set again.
#[derive(Debug, Default)]
pub(super) struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Is ready once `deadline` has come.
    pub(super) fn poll(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let timer = self
            .0
            .get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if timer.deadline() > deadline {
            timer.as_mut().reset(deadline);
        }
        loop {
            ready!(timer.as_mut().poll(cx));
            if timer.deadline() >= deadline {
                return Poll::Ready(());
            }
            timer.as_mut().reset(deadline);
        }
    }
}

/// The timer of one connection in the terms of hyper, which wants a new one for the head of each request.
#[derive(Clone, Debug, Default)]
pub(super) struct HeadTimer(Arc<Mutex<Alarm>>);

impl rt::Timer for HeadTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn rt::Sleep>> {
        self.sleep_until(self.now() + duration)
    }

    fn sleep_until(&self, deadline: StdInstant) -> Pin<Box<dyn rt::Sleep>> {
        let alarm = self.clone();
        let deadline = deadline.into();
        Box::pin(HeadSleep { alarm, deadline })
    }

    fn now(&self) -> StdInstant {
        Instant::now().into()
    }
}

/// The wait for one head.
struct HeadSleep {
    alarm: HeadTimer,
    deadline: Instant,
}

impl Future for HeadSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.alarm.0.lock().poll(self.deadline, cx)
    }
}

impl rt::Sleep for HeadSleep {}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::time::timeout;

    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Waits until it rings. One that never does is a failure, and no test that hangs.
    async fn rings(alarm: &mut Alarm, deadline: Instant) {
        let ring = poll_fn(|cx| alarm.poll(deadline, cx));
        timeout(seconds(3600), ring).await.expect("it never rang");
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_moves_on_is_met_to_the_moment() {
        let (start, mut alarm) = (Instant::now(), Alarm::default());
        for put_off in [10, 20, 35] {
            let ring = poll_fn(|cx| alarm.poll(start + seconds(put_off), cx));
            timeout(seconds(9), ring).await.expect_err("it rang early");
        }
        rings(&mut alarm, start + seconds(40)).await;
        assert_eq!(start.elapsed(), seconds(40));
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_moves_nearer_is_met_too() {
        let (start, mut alarm) = (Instant::now(), Alarm::default());
        let ring = poll_fn(|cx| alarm.poll(start + seconds(10), cx));
        timeout(seconds(1), ring).await.expect_err("it rang early");
        rings(&mut alarm, start + seconds(5)).await;
        assert_eq!(start.elapsed(), seconds(5));
    }

    #[tokio::test(start_paused = true)]
    async fn an_alarm_that_rang_can_be_set_again() {
        let (start, mut alarm) = (Instant::now(), Alarm::default());
        for deadline in [5, 7] {
            rings(&mut alarm, start + seconds(deadline)).await;
            assert_eq!(start.elapsed(), seconds(deadline));
        }
    }
}
