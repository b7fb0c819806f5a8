//! The signals that a task gets when it must end.

use std::time::Duration;

/// A signal of the ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    Interrupt,
    Terminate,
    Kill,
}

/// How a task is asked to end: `SIGINT`, then `SIGTERM`, then `SIGKILL`, with a time to obey after each.
///
/// ```
/// # use std::time::Duration;
/// # use runtime_process::StopSignals;
/// let ladder = StopSignals::new(Duration::from_secs(7), Duration::from_secs(3));
/// # let _ = ladder;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StopSignals {
    interrupt: Duration,
    terminate: Duration,
}

impl StopSignals {
    /// How long a task has after `SIGINT`, and how long after `SIGTERM`. A signal without time is left out.
    #[must_use]
    pub fn new(interrupt: Duration, terminate: Duration) -> Self {
        Self {
            interrupt,
            terminate,
        }
    }

    /// The polite signals, each with its time, made to fit into `within`.
    pub(crate) fn steps(self, within: Duration) -> impl Iterator<Item = (Signal, Duration)> {
        let whole = self.interrupt.saturating_add(self.terminate);
        let share = (within.as_secs_f64() / whole.as_secs_f64().max(f64::MIN_POSITIVE)).min(1.0);
        [
            (Signal::Interrupt, self.interrupt),
            (Signal::Terminate, self.terminate),
        ]
        .into_iter()
        .filter(|(_, patience)| !patience.is_zero())
        .map(move |(signal, patience)| (signal, patience.mul_f64(share)))
    }
}

impl Default for StopSignals {
    /// Five seconds each.
    fn default() -> Self {
        Self::new(Duration::from_secs(5), Duration::from_secs(5))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(ladder: StopSignals, within: u64) -> Vec<(Signal, f64)> {
        ladder
            .steps(Duration::from_secs(within))
            .map(|(signal, patience)| (signal, patience.as_secs_f64()))
            .collect()
    }

    #[test]
    fn steps_shrink_to_fit_and_never_grow() {
        let ladder = StopSignals::default();
        let full = [(Signal::Interrupt, 5.0), (Signal::Terminate, 5.0)];
        assert_eq!(seconds(ladder, 60), full);
        let half = [(Signal::Interrupt, 2.5), (Signal::Terminate, 2.5)];
        assert_eq!(seconds(ladder, 5), half);
    }

    #[test]
    fn a_signal_without_time_is_left_out() {
        let ladder = StopSignals::new(Duration::ZERO, Duration::from_secs(2));
        assert_eq!(seconds(ladder, 9), [(Signal::Terminate, 2.0)]);
        let none = StopSignals::new(Duration::ZERO, Duration::ZERO);
        assert_eq!(seconds(none, 9), []);
    }
}
