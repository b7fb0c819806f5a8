//! The sequence of signals that stops a task.

use std::time::Duration;

use runtime_core::clock::scaled;

/// A signal of a [`KillSequence`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KillSignal {
    Interrupt,
    Terminate,
    Kill,
}

/// The signals that stop a task: `SIGINT`, `SIGTERM` and `SIGKILL`, with a timeout after each of the first two.
///
/// ```
/// # use std::time::Duration;
/// # use runtime_process::KillSequence;
/// let sequence = KillSequence::new(Duration::from_secs(7), Duration::from_secs(3));
/// # let _ = sequence;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KillSequence {
    interrupt_timeout: Duration,
    terminate_timeout: Duration,
}

impl KillSequence {
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
    /// If the timeouts together exceed `budget`, each is shortened by the same factor, so that a task with little
    /// time left still gets both signals.
    pub(crate) fn steps(self, budget: Duration) -> impl Iterator<Item = (KillSignal, Duration)> {
        let total = self
            .interrupt_timeout
            .saturating_add(self.terminate_timeout);
        // Both timeouts may be zero, so the divisor has a minimum.
        let factor = (budget.as_secs_f64() / total.as_secs_f64().max(f64::MIN_POSITIVE)).min(1.0);
        [
            (KillSignal::Interrupt, self.interrupt_timeout),
            (KillSignal::Terminate, self.terminate_timeout),
        ]
        .into_iter()
        .filter(|(_, timeout)| !timeout.is_zero())
        .map(move |(signal, timeout)| (signal, scaled(timeout, factor)))
    }
}

impl Default for KillSequence {
    /// Returns the sequence with timeouts of five seconds.
    fn default() -> Self {
        Self::new(Duration::from_secs(5), Duration::from_secs(5))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(sequence: KillSequence, budget: u64) -> Vec<(KillSignal, f64)> {
        sequence
            .steps(Duration::from_secs(budget))
            .map(|(signal, timeout)| (signal, timeout.as_secs_f64()))
            .collect()
    }

    #[test]
    fn timeouts_shrink_to_the_budget() {
        let sequence = KillSequence::default();
        let full = [(KillSignal::Interrupt, 5.0), (KillSignal::Terminate, 5.0)];
        assert_eq!(seconds(sequence, 60), full);
        let half = [(KillSignal::Interrupt, 2.5), (KillSignal::Terminate, 2.5)];
        assert_eq!(seconds(sequence, 5), half);
    }

    #[test]
    fn signal_with_zero_timeout_is_skipped() {
        let sequence = KillSequence::new(Duration::ZERO, Duration::from_secs(2));
        assert_eq!(seconds(sequence, 9), [(KillSignal::Terminate, 2.0)]);
        let none = KillSequence::new(Duration::ZERO, Duration::ZERO);
        assert_eq!(seconds(none, 9), []);
    }
}
