//! Evidence for and against more connections.

use std::time::Duration;

use tokio::time::Instant;

use crate::ParallelPolicy;

/// How much faster a body must come over twice the connections to keep them.
const GAIN: f64 = 1.2;

/// A server that breaks this often before it has brought anything over several connections wants none.
const MOST_FAULTS: u32 = 3;

/// Watches how fast a body comes, and says over how many connections it should.
///
/// It starts with one. When the rest would take long, it tries two, and doubles as long as that makes it
/// faster. What did not help is taken back, and then it stays as it is.
pub(super) struct Pace {
    policy: ParallelPolicy,
    width: usize,
    is_settled: bool,
    faults: u32,
    since: Instant,
    bytes: u64,
    /// How fast it came with half as many.
    before: f64,
}

impl Pace {
    pub(super) fn new(policy: &ParallelPolicy) -> Self {
        Self {
            policy: policy.clone(),
            width: 1,
            is_settled: policy.max_connections < 2,
            faults: 0,
            since: Instant::now(),
            bytes: 0,
            before: 0.0,
        }
    }

    /// A body begins, or goes on over one connection.
    pub(super) fn restart(&mut self) {
        self.width = 1;
        self.look_anew();
    }

    /// The body broke while it came over several connections.
    pub(super) fn fault(&mut self) {
        self.faults += 1;
        self.is_settled |= self.faults >= MOST_FAULTS;
    }

    /// It stays as it is from now on: there is no more to be had.
    pub(super) fn settle(&mut self) {
        self.is_settled = true;
    }

    /// Bytes came, and `rest` are to come. Gives the new number of connections, if it should be another.
    pub(super) fn judge(&mut self, bytes: u64, rest: u64) -> Option<usize> {
        self.bytes += bytes;
        let time = self.since.elapsed();
        if self.is_settled || time < self.policy.window {
            return None;
        }
        let rate = self.bytes as f64 / time.max(Duration::from_micros(1)).as_secs_f64();
        self.look_anew();
        if self.width > 1 {
            self.faults = 0;
        }
        let width = self.next_width(rate, rest);
        self.before = rate;
        (width != self.width).then(|| {
            self.width = width;
            width
        })
    }

    fn next_width(&mut self, rate: f64, rest: u64) -> usize {
        let has_helped = self.width == 1 || rate >= GAIN * self.before;
        let is_worth = rest as f64 / rate >= self.policy.min_remaining.as_secs_f64();
        match (has_helped, is_worth) {
            (false, _) => {
                self.is_settled = true;
                self.width / 2
            }
            (true, true) if self.width < self.policy.max_connections => {
                (2 * self.width).min(self.policy.max_connections)
            }
            (true, _) => self.width,
        }
    }

    fn look_anew(&mut self) {
        self.since = Instant::now();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;
    /// So much that any rate here takes long for it.
    const MUCH: u64 = 1 << 40;

    /// A body that has begun to come.
    fn pace() -> Pace {
        let mut pace = Pace::new(&ParallelPolicy {
            max_connections: 6,
            min_remaining: Duration::from_secs(2),
            window: Duration::from_secs(1),
            ..ParallelPolicy::default()
        });
        pace.restart();
        pace
    }

    /// So many mebibytes come in a window.
    async fn window(pace: &mut Pace, mebibytes: u64, rest: u64) -> Option<usize> {
        assert_eq!(pace.judge(0, rest), None, "the window has just begun");
        tokio::time::advance(Duration::from_secs(1)).await;
        pace.judge(mebibytes * MIB, rest)
    }

    #[tokio::test(start_paused = true)]
    async fn connections_double_up_to_the_most_while_that_makes_it_faster() {
        let mut pace = pace();
        assert_eq!(window(&mut pace, 10, MUCH).await, Some(2));
        assert_eq!(window(&mut pace, 20, MUCH).await, Some(4));
        assert_eq!(window(&mut pace, 40, MUCH).await, Some(6));
        assert_eq!(window(&mut pace, 60, MUCH).await, None, "it is the most");
    }

    #[tokio::test(start_paused = true)]
    async fn what_makes_it_hardly_faster_is_taken_back_for_good() {
        let mut pace = pace();
        assert_eq!(window(&mut pace, 10, MUCH).await, Some(2));
        assert_eq!(window(&mut pace, 13, MUCH).await, Some(4));
        assert_eq!(window(&mut pace, 14, MUCH).await, Some(2));
        assert_eq!(window(&mut pace, 100, MUCH).await, None);
        pace.restart();
        assert_eq!(window(&mut pace, 10, MUCH).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_rest_that_is_there_soon_is_worth_no_other_connection() {
        let mut pace = pace();
        assert_eq!(window(&mut pace, 10, 19 * MIB).await, None);
        assert_eq!(window(&mut pace, 10, 20 * MIB).await, Some(2));
    }

    #[tokio::test(start_paused = true)]
    async fn one_connection_is_enough_where_no_more_are_allowed() {
        let mut pace = Pace::new(&ParallelPolicy {
            max_connections: 1,
            ..ParallelPolicy::default()
        });
        assert_eq!(window(&mut pace, 1, MUCH).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_breaks_under_several_connections_is_asked_over_one_in_the_end() {
        let mut pace = pace();
        for _ in 0..MOST_FAULTS {
            assert_eq!(window(&mut pace, 10, MUCH).await, Some(2));
            pace.fault();
            pace.restart();
        }
        assert_eq!(window(&mut pace, 10, MUCH).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_brings_something_between_faults_is_asked_again() {
        let mut pace = pace();
        for _ in 0..2 * MOST_FAULTS {
            assert_eq!(window(&mut pace, 10, MUCH).await, Some(2));
            assert_eq!(window(&mut pace, 20, MUCH).await, Some(4));
            pace.fault();
            pace.restart();
        }
        assert_eq!(window(&mut pace, 10, MUCH).await, Some(2));
    }
}
