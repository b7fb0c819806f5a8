//! Shows whether the kernel may have started over with the pids since an earlier moment.
//!
//! Linux assigns the next free pid to each new process or thread, and starts over at a low one after the highest
//! (`alloc_pid` in `kernel/pid.c`, which calls `idr_alloc_cyclic`). Each pid namespace has its own numbers. Until the
//! kernel starts over, processes that started later have higher pids. Between two observations, it has not started over
//! if the last assigned pid is not lower, and if the time was too short for all pids.
//!
//! The number of forks since boot (`processes` in `/proc/stat`) is no bound for the assigned pids: a fork that the
//! process limit of a control group refuses takes a pid, and is not counted (`copy_process` in `kernel/fork.c` calls
//! `cgroup_can_fork` after `alloc_pid`). A fork bomb that reaches a limit thus uses up all pids without a count.
//!
//! Only a process with `CAP_CHECKPOINT_RESTORE` or `CAP_SYS_ADMIN` can choose its pid or move the last one.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::proc;

/// The minimum time per assigned pid. A core needs 15 to 20 µs for a fork, even for one that is refused, and the kernel
/// assigns pids under a lock. For 32 768 pids, the smallest usual maximum, this is 98 ms, and 12 s for 4 194 304, the
/// maximum that systemd sets.
const MIN_ASSIGN_TIME: Duration = Duration::from_micros(3);

/// A period during which pids only ascended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PidCycle(pub(crate) u64);

/// The last pid that the kernel assigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LastPid {
    pub(crate) pid: i32,
    pub(crate) cycle: PidCycle,
}

/// Observes the last pid. `None` if the kernel does not show it.
pub(crate) fn observe() -> Option<LastPid> {
    static COUNTER: Mutex<PidCounter> = Mutex::new(PidCounter::new());
    let max_gap = max_gap()?;
    // Held during the read, so that the observations are in order.
    let mut counter = COUNTER.lock();
    let start = Instant::now();
    let pid = proc::last_pid()?;
    Some(counter.add(pid, start, Instant::now(), max_gap))
}

/// Returns the maximum time between two observations in which the kernel cannot assign all pids.
fn max_gap() -> Option<Duration> {
    static MAX_GAP: OnceLock<Option<Duration>> = OnceLock::new();
    *MAX_GAP.get_or_init(|| proc::max_pid().map(|pids| MIN_ASSIGN_TIME * pids))
}

/// Counts how often the kernel may have started over.
#[derive(Debug)]
struct PidCounter {
    cycle: u64,
    /// The last observed pid, and the time before its observation.
    last: Option<(i32, Instant)>,
}

impl PidCounter {
    const fn new() -> Self {
        Self {
            cycle: 0,
            last: None,
        }
    }

    /// Adds the last pid, which was read between `start` and `end`.
    fn add(&mut self, pid: i32, start: Instant, end: Instant, max_gap: Duration) -> LastPid {
        let has_ascended = self
            .last
            .is_some_and(|(last, time)| pid >= last && end.duration_since(time) < max_gap);
        if !has_ascended {
            self.cycle += 1;
        }
        self.last = Some((pid, start));
        let cycle = PidCycle(self.cycle);
        LastPid { pid, cycle }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GAP: Duration = Duration::from_millis(100);

    /// Returns the cycles of observations, each with a pid and milliseconds since the start.
    fn cycles(observations: &[(i32, u64)]) -> Vec<u64> {
        let start = Instant::now();
        let mut counter = PidCounter::new();
        let at = |ms| start + Duration::from_millis(ms);
        let add = |(pid, ms): &(i32, u64)| counter.add(*pid, at(*ms), at(*ms), GAP).cycle.0;
        observations.iter().map(add).collect()
    }

    #[test]
    fn ascending_pids_are_one_cycle() {
        assert_eq!(
            cycles(&[(400, 0), (400, 1), (9000, 100), (9001, 199)]),
            [1; 4]
        );
    }

    #[test]
    fn lower_pid_begins_another_cycle() {
        assert_eq!(cycles(&[(32_000, 0), (301, 1), (302, 2)]), [1, 2, 2]);
    }

    #[test]
    fn higher_pid_after_long_gap_begins_another_cycle() {
        // All pids may have been assigned in the meantime.
        assert_eq!(cycles(&[(400, 0), (401, 100), (402, 150)]), [1, 2, 2]);
    }

    #[test]
    fn duration_of_observation_counts() {
        let start = Instant::now();
        let mut counter = PidCounter::new();
        let first = counter.add(400, start, start + GAP / 2, GAP);
        let second = counter.add(401, start + GAP / 2, start + GAP, GAP);
        assert_ne!(first.cycle, second.cycle);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn started_process_has_the_last_pid_or_a_lower_one() {
        let before = observe().expect("Linux shows it");
        let mut child = std::process::Command::new("true").spawn().expect("`true`");
        let after = observe().expect("Linux shows it");
        let pid = child.id().cast_signed();
        child.wait().expect("it ends");
        // A loaded machine may have taken too long.
        if before.cycle == after.cycle {
            assert!(
                (before.pid + 1..=after.pid).contains(&pid),
                "{before:?} {pid} {after:?}"
            );
        }
    }
}
