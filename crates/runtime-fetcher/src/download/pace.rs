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
        let is_worth = rest as f64 / rate >= self.policy.worth.as_secs_f64();
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
