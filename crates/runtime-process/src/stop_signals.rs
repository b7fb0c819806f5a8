//! The signals that stop a task, and the timeouts between them.

use std::time::Duration;

/// A signal of the stop sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StopSignal {
    Interrupt,
    Terminate,
    Kill,
}

/// The stop sequence of a task: `SIGINT`, `SIGTERM` and `SIGKILL`, with a timeout after each of the first two.
///
/// ```
/// # use std::time::Duration;
/// # use runtime_process::StopSignals;
/// let signals = StopSignals::new(Duration::from_secs(7), Duration::from_secs(3));
/// # let _ = signals;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StopSignals {
    interrupt_timeout: Duration,
    terminate_timeout: Duration,
}

impl StopSignals {
    /// Creates a sequence from the time that a task has to exit after `SIGINT` and after `SIGTERM`.
    ///
    /// A signal with a timeout of zero is skipped.
    #[must_use]
    pub fn new(interrupt_timeout: Duration, terminate_timeout: Duration) -> Self {
        Self {
            interrupt_timeout,
            terminate_timeout,
        }
    }

    /// Returns the signals before `SIGKILL` with their timeouts.
    ///
    /// If the timeouts exceed `budget` in total, each is shortened by the same factor: a task that has little
    /// time still gets both signals.
    pub(crate) fn steps(self, budget: Duration) -> impl Iterator<Item = (StopSignal, Duration)> {
        let total = self
            .interrupt_timeout
            .saturating_add(self.terminate_timeout);
        let factor = (budget.as_secs_f64() / total.as_secs_f64().max(f64::MIN_POSITIVE)).min(1.0);
        [
            (StopSignal::Interrupt, self.interrupt_timeout),
            (StopSignal::Terminate, self.terminate_timeout),
        ]
        .into_iter()
        .filter(|(_, timeout)| !timeout.is_zero())
        .map(move |(signal, timeout)| (signal, timeout.mul_f64(factor)))
    }
}

impl Default for StopSignals {
    /// Returns timeouts of five seconds each.
    fn default() -> Self {
        Self::new(Duration::from_secs(5), Duration::from_secs(5))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(signals: StopSignals, budget: u64) -> Vec<(StopSignal, f64)> {
        signals
            .steps(Duration::from_secs(budget))
            .map(|(signal, timeout)| (signal, timeout.as_secs_f64()))
            .collect()
    }

    #[test]
    fn timeouts_shrink_to_the_budget() {
        let signals = StopSignals::default();
        let full = [(StopSignal::Interrupt, 5.0), (StopSignal::Terminate, 5.0)];
        assert_eq!(seconds(signals, 60), full);
        let half = [(StopSignal::Interrupt, 2.5), (StopSignal::Terminate, 2.5)];
        assert_eq!(seconds(signals, 5), half);
    }

    #[test]
    fn signal_with_zero_timeout_is_skipped() {
        let signals = StopSignals::new(Duration::ZERO, Duration::from_secs(2));
        assert_eq!(seconds(signals, 9), [(StopSignal::Terminate, 2.0)]);
        let none = StopSignals::new(Duration::ZERO, Duration::ZERO);
        assert_eq!(seconds(none, 9), []);
    }
}
