//! Timers for deadlines that are postponed far more often than they expire.

use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant as StdInstant};

use hyper::rt;
use parking_lot::Mutex;
use runtime_core::clock::instant_after;
use tokio::time::{Instant, Sleep, sleep_until};

/// A timer that costs nothing while its deadline is postponed.
///
/// Resetting a tokio timer takes a lock that all threads share, and a connection would do it twice per
/// request. This timer stays armed for its first deadline, and is armed again only if that expires before
/// the current deadline.
#[derive(Debug, Default)]
pub(super) struct LazyTimer(Option<Pin<Box<Sleep>>>);

impl LazyTimer {
    /// Returns ready once `deadline` has passed.
    pub(super) fn poll(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let timer = self
            .0
            .get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        // An earlier deadline is rare, and the only one that needs an immediate reset.
        if timer.deadline() > deadline {
            timer.as_mut().reset(deadline);
        }
        loop {
            // Polled again after a reset, or nothing would wake this task at the new deadline.
            ready!(timer.as_mut().poll(cx));
            if timer.deadline() >= deadline {
                return Poll::Ready(());
            }
            timer.as_mut().reset(deadline);
        }
    }
}

/// The timer of one connection for hyper, which requests a new sleep for each request head.
///
/// All sleeps share one [`LazyTimer`]. hyper waits for one head at a time, so they do not conflict.
#[derive(Clone, Debug, Default)]
pub(super) struct HeaderTimer(Arc<Mutex<LazyTimer>>);

impl rt::Timer for HeaderTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn rt::Sleep>> {
        self.sleep_until(instant_after(self.now(), duration))
    }

    fn sleep_until(&self, deadline: StdInstant) -> Pin<Box<dyn rt::Sleep>> {
        let timer = self.clone();
        let deadline = deadline.into();
        Box::pin(HeaderSleep { timer, deadline })
    }

    fn now(&self) -> StdInstant {
        Instant::now().into()
    }
}

/// The timeout of one request head.
struct HeaderSleep {
    timer: HeaderTimer,
    deadline: Instant,
}

impl Future for HeaderSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.timer.0.lock().poll(self.deadline, cx)
    }
}

impl rt::Sleep for HeaderSleep {}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::time::timeout;

    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Waits for the timer. A timer that never expires fails the test instead of hanging it.
    async fn expire(timer: &mut LazyTimer, deadline: Instant) {
        let expired = poll_fn(|cx| timer.poll(deadline, cx));
        timeout(seconds(3600), expired).await.expect("an expiry");
    }

    #[tokio::test(start_paused = true)]
    async fn postponed_deadline_is_exact() {
        let (start, mut timer) = (Instant::now(), LazyTimer::default());
        for deadline in [10, 20, 35] {
            let expired = poll_fn(|cx| timer.poll(start + seconds(deadline), cx));
            timeout(seconds(9), expired)
                .await
                .expect_err("early expiry");
        }
        expire(&mut timer, start + seconds(40)).await;
        assert_eq!(start.elapsed(), seconds(40));
    }

    #[tokio::test(start_paused = true)]
    async fn earlier_deadline_is_exact() {
        let (start, mut timer) = (Instant::now(), LazyTimer::default());
        let expired = poll_fn(|cx| timer.poll(start + seconds(10), cx));
        timeout(seconds(1), expired)
            .await
            .expect_err("early expiry");
        expire(&mut timer, start + seconds(5)).await;
        assert_eq!(start.elapsed(), seconds(5));
    }

    #[tokio::test(start_paused = true)]
    async fn expired_timer_is_reusable() {
        let (start, mut timer) = (Instant::now(), LazyTimer::default());
        for deadline in [5, 7] {
            expire(&mut timer, start + seconds(deadline)).await;
            assert_eq!(start.elapsed(), seconds(deadline));
        }
    }
}
