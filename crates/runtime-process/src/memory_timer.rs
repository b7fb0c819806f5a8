//! The decision whether the memory of the machine has been low for too long.

use tokio::time::Instant;

use crate::high_memory::HighMemoryPolicy;

/// The memory of the machine in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MachineMemory {
    pub(crate) total: u64,
    /// The memory that programs can still allocate without swapping.
    pub(crate) available: u64,
}

impl HighMemoryPolicy {
    pub(crate) fn is_exceeded(&self, memory: MachineMemory) -> bool {
        let used = memory.total.saturating_sub(memory.available);
        let percent = u128::from(used) * 100;
        let max = u128::from(memory.total) * u128::from(self.max_used_percent);
        percent > max && memory.available < self.min_available
    }

    /// Returns the minimum memory of a command that may be ended.
    pub(crate) fn min_use(&self) -> u64 {
        self.min_available / 10
    }
}

/// Measures the duration of low memory.
#[derive(Debug, Default)]
pub(crate) struct HighMemoryTimer {
    since: Option<Instant>,
}

impl HighMemoryTimer {
    /// Returns whether a task has to end: the settings were exceeded for their duration since the first call, and since
    /// the last one that returned `true`.
    pub(crate) fn update(
        &mut self,
        settings: &HighMemoryPolicy,
        memory: Option<MachineMemory>,
        now: Instant,
    ) -> bool {
        if !memory.is_some_and(|memory| settings.is_exceeded(memory)) {
            self.since = None;
            return false;
        }
        let since = *self.since.get_or_insert(now);
        let is_sustained = now.saturating_duration_since(since) >= settings.duration;
        if is_sustained {
            self.since = Some(now);
        }
        is_sustained
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const GIB: u64 = 1 << 30;

    fn memory(total: u64, available: u64) -> MachineMemory {
        MachineMemory { total, available }
    }

    #[test]
    fn both_limits_must_be_exceeded() {
        let settings = HighMemoryPolicy::default();
        for (total, available, expected) in [
            (4 * GIB, GIB / 4, true),
            (64 * GIB, GIB, false),
            (GIB, GIB / 4, false),
            (4 * GIB, 500 << 20, false),
            (0, 0, false),
            (u64::MAX, 0, true),
        ] {
            let exceeded = settings.is_exceeded(memory(total, available));
            assert_eq!(exceeded, expected, "{available} of {total}");
        }
        let off = HighMemoryPolicy {
            max_used_percent: 100,
            ..settings
        };
        assert!(!off.is_exceeded(memory(4 * GIB, 0)));
    }

    #[test]
    fn short_peaks_are_tolerated() {
        let (settings, start) = (HighMemoryPolicy::default(), Instant::now());
        let (low, high) = (memory(4 * GIB, 0), memory(4 * GIB, 2 * GIB));
        let mut timer = HighMemoryTimer::default();
        let mut update =
            |seconds, memory| timer.update(&settings, memory, start + Duration::from_secs(seconds));
        assert!(!update(0, Some(low)));
        assert!(!update(4, Some(low)));
        assert!(!update(5, Some(high)));
        assert!(!update(6, Some(low)));
        assert!(!update(10, Some(low)));
        assert!(update(11, Some(low)));
        assert!(!update(12, Some(low)), "the next task has its own time");
        assert!(update(16, Some(low)));
        assert!(!update(21, None));
        assert!(!update(22, Some(low)));
    }
}
