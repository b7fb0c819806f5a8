//! Notices steps of the wall clock for all sleepers of a clock.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

use super::duration_until;

/// The interval of the checks. It bounds the delay until a step is noticed.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// The minimum difference from the monotonic clock that counts as a step. Time services correct smaller ones without a
/// step, by at most 0.05 % of the time.
const MIN_STEP: Duration = Duration::from_millis(100);

/// Compares the wall clock with the monotonic one while at least one task sleeps.
///
/// One tokio task checks for all: if each sleeper woke up to look at the clock, a worker with many tasks would be busy
/// with that alone.
#[derive(Debug, Default)]
pub(super) struct ClockSteps {
    /// Notified of steps. The checking task owns the sender, so it is closed once its runtime has ended.
    notified: Mutex<Option<watch::Receiver<()>>>,
}

impl ClockSteps {
    /// Sleeps until the wall clock, which `now` reads, has reached `deadline`.
    ///
    /// A single long sleep would miss steps, and the time during which the machine was suspended.
    pub(super) async fn sleep_until<N>(self: &Arc<Self>, deadline: Timestamp, now: N)
    where
        N: Fn() -> Timestamp + Clone + Send + 'static,
    {
        while duration_until(now(), deadline).is_some() {
            let mut steps = self.subscribe(&now);
            // After the subscription, so that no step in between is lost.
            let remaining = duration_until(now(), deadline).unwrap_or_default();
            tokio::select! {
                () = tokio::time::sleep(remaining) => {}
                // Also when the runtime of the checking task has ended: the next pass starts another one.
                _ = steps.changed() => {}
            }
        }
    }

    fn subscribe<N>(self: &Arc<Self>, now: &N) -> watch::Receiver<()>
    where
        N: Fn() -> Timestamp + Clone + Send + 'static,
    {
        let mut notified = self.notified.lock();
        if let Some(steps) = &*notified
            && steps.has_changed().is_ok()
        {
            let mut steps = steps.clone();
            steps.mark_unchanged();
            return steps;
        }
        let (sender, steps) = watch::channel(());
        // Read here: the checking task may start only after a step.
        let start = (now(), Instant::now());
        tokio::spawn(check(Arc::clone(self), sender, start, now.clone()));
        notified.insert(steps).clone()
    }

    /// Ends the checks if no task sleeps.
    fn stop_if_idle(&self, sender: &watch::Sender<()>) -> bool {
        // Under the lock of `subscribe`, which holds a receiver of its own.
        let mut notified = self.notified.lock();
        let is_idle = sender.receiver_count() <= 1;
        if is_idle {
            *notified = None;
        }
        is_idle
    }
}

/// Checks until no task sleeps. `before` has both times, read before the first sleep.
async fn check(
    steps: Arc<ClockSteps>,
    sender: watch::Sender<()>,
    mut before: (Timestamp, Instant),
    now: impl Fn() -> Timestamp,
) {
    loop {
        tokio::time::sleep(CHECK_INTERVAL).await;
        if steps.stop_if_idle(&sender) {
            return;
        }
        let (wall, monotonic) = (now(), Instant::now());
        let passed = SignedDuration::try_from(monotonic.duration_since(before.1));
        let passed = passed.unwrap_or(SignedDuration::MAX);
        let step = wall.duration_since(before.0).saturating_sub(passed);
        // Compared with the last step and not with the last check, so that slow corrections add up.
        if step.unsigned_abs() >= MIN_STEP {
            before = (wall, monotonic);
            sender.send_replace(());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::task::Poll;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    /// Returns a wall clock that is set by an hour one second after the start, forward or back.
    fn clock_with_step(forward: bool) -> impl Fn() -> Timestamp + Clone + Send + 'static {
        let began = Instant::now();
        move || {
            let time = start() + began.elapsed();
            match (began.elapsed() < Duration::from_secs(1), forward) {
                (true, _) => time,
                (false, true) => time + HOUR,
                (false, false) => time - HOUR,
            }
        }
    }

    fn start() -> Timestamp {
        Timestamp::UNIX_EPOCH + 24 * HOUR
    }

    #[tokio::test(start_paused = true)]
    async fn step_is_noticed_within_one_check() {
        let (began, steps) = (Instant::now(), Arc::new(ClockSteps::default()));
        let now = clock_with_step(true);
        let other = {
            let (steps, now) = (Arc::clone(&steps), now.clone());
            tokio::spawn(async move { steps.sleep_until(start() + HOUR, now).await })
        };
        steps.sleep_until(start() + HOUR, now).await;
        other.await.expect("no panic");
        assert_eq!(began.elapsed(), CHECK_INTERVAL);
    }

    #[tokio::test(start_paused = true)]
    async fn step_before_the_first_check_is_noticed() {
        let (began, steps) = (Instant::now(), Arc::new(ClockSteps::default()));
        let is_set = Arc::new(AtomicBool::new(false));
        let now = {
            let is_set = Arc::clone(&is_set);
            move || {
                let step = if is_set.load(Ordering::Relaxed) {
                    HOUR
                } else {
                    Duration::ZERO
                };
                start() + began.elapsed() + step
            }
        };
        let mut sleep = std::pin::pin!(steps.sleep_until(start() + HOUR, now));
        // The checking task has not run when the clock is set.
        let is_pending = poll_fn(|cx| Poll::Ready(sleep.as_mut().poll(cx).is_pending()));
        assert!(is_pending.await);
        is_set.store(true, Ordering::Relaxed);
        sleep.await;
        assert_eq!(began.elapsed(), CHECK_INTERVAL);
    }

    #[tokio::test(start_paused = true)]
    async fn step_back_extends_the_sleep() {
        let (began, steps) = (Instant::now(), Arc::new(ClockSteps::default()));
        steps
            .sleep_until(start() + HOUR, clock_with_step(false))
            .await;
        assert_eq!(began.elapsed(), 2 * HOUR);
    }

    #[tokio::test(start_paused = true)]
    async fn slow_correction_adds_up() {
        let (began, steps) = (Instant::now(), Arc::new(ClockSteps::default()));
        // 0.05 % faster than the monotonic clock.
        let wall = move || began.elapsed() + began.elapsed() / 2_000;
        steps
            .sleep_until(start() + HOUR, move || start() + wall())
            .await;
        let late = wall().saturating_sub(HOUR);
        assert!(late <= 2 * MIN_STEP, "{late:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn sleep_ends_at_the_deadline() {
        let (began, steps) = (Instant::now(), Arc::new(ClockSteps::default()));
        let wanted = Duration::from_secs(12);
        let now = move || start() + began.elapsed();
        steps.sleep_until(start() + wanted, now).await;
        assert_eq!(began.elapsed(), wanted);
    }

    #[tokio::test(start_paused = true)]
    async fn checks_end_with_the_last_sleeper() {
        let (began, steps) = (Instant::now(), Arc::new(ClockSteps::default()));
        let now = move || start() + began.elapsed();
        steps
            .sleep_until(start() + Duration::from_secs(1), now)
            .await;
        tokio::time::sleep(CHECK_INTERVAL).await;
        assert!(steps.notified.lock().is_none());
        steps
            .sleep_until(start() + Duration::from_secs(60), now)
            .await;
        assert_eq!(began.elapsed(), Duration::from_secs(60));
    }

    #[test]
    fn sleeper_outlives_the_runtime_of_the_checks() {
        let steps = Arc::new(ClockSteps::default());
        let runtime = || {
            let mut builder = tokio::runtime::Builder::new_current_thread();
            builder
                .enable_time()
                .start_paused(true)
                .build()
                .expect("a runtime")
        };
        runtime().block_on(async {
            let _receiver = steps.subscribe(&Timestamp::now);
        });
        runtime().block_on(async {
            let began = Instant::now();
            steps
                .sleep_until(start() + HOUR, clock_with_step(true))
                .await;
            assert_eq!(began.elapsed(), CHECK_INTERVAL);
        });
    }
}
