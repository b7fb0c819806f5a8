//! Randomized delays.

use std::time::Duration;

use runtime_core::clock::scaled;
use runtime_http::Backoff;

/// Largest bound of a retry's delay, as a multiple of the first: 32 s with the default first delay of 2 s, so that a
/// recovered queue is noticed within `claim_grace`.
const MAX_GROWTH: u32 = 16;

/// Waits before the next retry of a call whose first retry comes within `first_delay`.
pub(crate) async fn wait_before_retry(backoff: &mut Backoff, first_delay: Duration) {
    let max_delay = first_delay.saturating_mul(MAX_GROWTH);
    tokio::time::sleep(backoff.next_delay(max_delay)).await;
}

/// Lengthens or shortens an interval by up to 10%, so that the workers of a pool do not call the queue at the same
/// moment.
pub(crate) fn jittered(interval: Duration) -> Duration {
    scaled(interval, 0.9 + fastrand::f64() / 5.0)
}

/// Returns a random delay of up to twice this one, which is its mean.
///
/// An outage of the queue ends the long polls of all workers at the same moment. With [`jittered`], they would return
/// together as well.
pub(crate) fn spread(delay: Duration) -> Duration {
    scaled(delay, 2.0 * fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_is_at_most_a_tenth() {
        for _ in 0..1000 {
            let jittered = jittered(Duration::from_secs(100)).as_secs_f64();
            assert!((90.0..=110.0).contains(&jittered), "{jittered}");
        }
    }

    #[test]
    fn delays_are_spread_around_their_mean() {
        fastrand::seed(7);
        let mut seconds = [0; 10];
        for _ in 0..1000 {
            let delay = spread(Duration::from_secs(5));
            seconds[delay.as_secs() as usize] += 1;
        }
        assert!(
            seconds.iter().all(|count| (60..140).contains(count)),
            "{seconds:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn retry_delay_is_at_most_sixteen_first_delays() {
        let first = Duration::from_secs(1);
        let mut backoff = Backoff::new(first);
        for _ in 0..100 {
            let before = tokio::time::Instant::now();
            wait_before_retry(&mut backoff, first).await;
            assert!(before.elapsed() <= 16 * first, "{:?}", before.elapsed());
        }
    }
}
