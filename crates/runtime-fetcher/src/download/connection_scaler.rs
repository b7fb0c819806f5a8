//! The number of connections for a body, adapted to the measured throughput.

use std::time::Duration;

use tokio::time::Instant;

use crate::config::ParallelPolicy;

/// The speedup that twice the connections must achieve to be kept.
const MIN_SPEEDUP: f64 = 1.2;

/// The number of failures in a row over several connections after which a body stays on one.
const MAX_PARALLEL_FAILURES: u32 = 3;

/// Decides over how many connections a body is received.
///
/// It starts with one. If the rest would take long, it doubles the connections as long as each doubling raises the
/// throughput, then keeps the last number that did. Measuring is the only way to know: servers limit the rate per
/// connection or per client, and neither shows in a header. More connections than help would only take
/// bandwidth from other fetches.
pub(super) struct ConnectionScaler {
    policy: ParallelPolicy,
    connections: usize,
    is_frozen: bool,
    failures: u32,
    window_start: Instant,
    window_bytes: u64,
    /// Bytes per second in the previous window, with fewer connections.
    previous_rate: f64,
}

impl ConnectionScaler {
    pub(super) fn new(policy: &ParallelPolicy) -> Self {
        Self {
            policy: policy.clone(),
            connections: 1,
            is_frozen: policy.max_connections < 2,
            failures: 0,
            window_start: Instant::now(),
            window_bytes: 0,
            previous_rate: 0.0,
        }
    }

    /// Starts over with one connection, for a new response.
    pub(super) fn restart(&mut self) {
        self.connections = 1;
        self.start_window();
    }

    /// Records a failure over several connections.
    pub(super) fn record_failure(&mut self) {
        self.failures += 1;
        // Some servers and firewalls reset clients with several connections. Retrying that forever would use up the
        // attempts of a body that one connection can deliver.
        self.is_frozen |= self.failures >= MAX_PARALLEL_FAILURES;
    }

    /// Keeps the number of connections from now on.
    pub(super) fn freeze(&mut self) {
        self.is_frozen = true;
    }

    /// Counts received bytes. At the end of a window, returns the new number of connections if it changes.
    pub(super) fn next_connections(&mut self, bytes: u64, remaining: u64) -> Option<usize> {
        self.window_bytes += bytes;
        let time = self.window_start.elapsed();
        if self.is_frozen || time < self.policy.window {
            return None;
        }
        // At least a microsecond, because a window of zero is a valid setting.
        let rate = self.window_bytes as f64 / time.max(Duration::from_micros(1)).as_secs_f64();
        self.start_window();
        if self.connections > 1 {
            // A complete window over several connections: the server does support them.
            self.failures = 0;
        }
        let connections = self.decide(rate, remaining);
        self.previous_rate = rate;
        (connections != self.connections).then(|| {
            self.connections = connections;
            connections
        })
    }

    fn decide(&mut self, rate: f64, remaining: u64) -> usize {
        // Less than twice the rate is expected for twice the connections; a fifth is above the noise of a window.
        let has_helped = self.connections == 1 || rate >= MIN_SPEEDUP * self.previous_rate;
        let is_worthwhile = remaining as f64 / rate >= self.policy.min_remaining.as_secs_f64();
        match (has_helped, is_worthwhile) {
            (false, _) => {
                // Measuring again would alternate between the two numbers for the rest of the body.
                self.is_frozen = true;
                self.connections / 2
            }
            (true, true) if self.connections < self.policy.max_connections => {
                (2 * self.connections).min(self.policy.max_connections)
            }
            (true, _) => self.connections,
        }
    }

    fn start_window(&mut self) {
        self.window_start = Instant::now();
        self.window_bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;
    /// Takes long at every rate in these tests.
    const HUGE: u64 = 1 << 40;

    /// Creates a scaler for a body that has started.
    fn scaler() -> ConnectionScaler {
        let mut scaler = ConnectionScaler::new(&ParallelPolicy {
            max_connections: 6,
            min_remaining: Duration::from_secs(2),
            window: Duration::from_secs(1),
            ..ParallelPolicy::default()
        });
        scaler.restart();
        scaler
    }

    /// Receives a number of mebibytes in one window.
    async fn window(
        scaler: &mut ConnectionScaler,
        mebibytes: u64,
        remaining: u64,
    ) -> Option<usize> {
        let early = scaler.next_connections(0, remaining);
        assert_eq!(early, None, "the window has just started");
        tokio::time::advance(Duration::from_secs(1)).await;
        scaler.next_connections(mebibytes * MIB, remaining)
    }

    #[tokio::test(start_paused = true)]
    async fn connections_double_while_they_help() {
        let mut scaler = scaler();
        assert_eq!(window(&mut scaler, 10, HUGE).await, Some(2));
        assert_eq!(window(&mut scaler, 20, HUGE).await, Some(4));
        assert_eq!(window(&mut scaler, 40, HUGE).await, Some(6));
        assert_eq!(window(&mut scaler, 60, HUGE).await, None, "6 is the limit");
    }

    #[tokio::test(start_paused = true)]
    async fn useless_connections_are_closed_for_good() {
        let mut scaler = scaler();
        assert_eq!(window(&mut scaler, 10, HUGE).await, Some(2));
        assert_eq!(window(&mut scaler, 13, HUGE).await, Some(4));
        assert_eq!(window(&mut scaler, 14, HUGE).await, Some(2));
        assert_eq!(window(&mut scaler, 100, HUGE).await, None);
        scaler.restart();
        assert_eq!(window(&mut scaler, 10, HUGE).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn short_rest_adds_no_connection() {
        let mut scaler = scaler();
        assert_eq!(window(&mut scaler, 10, 19 * MIB).await, None);
        assert_eq!(window(&mut scaler, 10, 20 * MIB).await, Some(2));
    }

    #[tokio::test(start_paused = true)]
    async fn limit_of_one_connection_holds() {
        let mut scaler = ConnectionScaler::new(&ParallelPolicy {
            max_connections: 1,
            ..ParallelPolicy::default()
        });
        assert_eq!(window(&mut scaler, 1, HUGE).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn repeated_failures_end_parallel_ranges() {
        let mut scaler = scaler();
        for _ in 0..MAX_PARALLEL_FAILURES {
            assert_eq!(window(&mut scaler, 10, HUGE).await, Some(2));
            scaler.record_failure();
            scaler.restart();
        }
        assert_eq!(window(&mut scaler, 10, HUGE).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn progress_between_failures_resets_their_count() {
        let mut scaler = scaler();
        for _ in 0..2 * MAX_PARALLEL_FAILURES {
            assert_eq!(window(&mut scaler, 10, HUGE).await, Some(2));
            assert_eq!(window(&mut scaler, 20, HUGE).await, Some(4));
            scaler.record_failure();
            scaler.restart();
        }
        assert_eq!(window(&mut scaler, 10, HUGE).await, Some(2));
    }
}
