//! Kills all members of a group.

use std::time::Duration;

use rustix::process::{Signal, kill_process};

use super::folder::GroupFolder;

/// Interval and maximum number of the checks whether the members are frozen: a tenth of a second in total. A process
/// that waits for a device freezes, and dies, only when the device responds.
const FREEZE_POLL_INTERVAL: Duration = Duration::from_millis(1);
const MAX_FREEZE_POLLS: u32 = 100;

/// The methods to kill all members of a group, the best one first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum KillMethod {
    /// All at once, through `cgroup.kill` (version 2, Linux 5.14).
    AtOnce,
    /// The members are frozen first, so that none can fork during the kill.
    Frozen,
    /// One after the other, repeatedly. Processes that fork faster than they are found can escape, unless the number of
    /// processes is limited.
    OneByOne,
}

impl KillMethod {
    /// Returns the best method of a folder.
    pub(super) fn of(folder: &GroupFolder) -> Self {
        if folder.has("cgroup.kill") {
            Self::AtOnce
        } else if folder.has("cgroup.freeze") || folder.has("freezer.state") {
            Self::Frozen
        } else {
            Self::OneByOne
        }
    }
}

/// Sends `SIGKILL` to all members once, without waiting for their end.
pub(super) fn kill_members(folder: &GroupFolder) {
    // Includes processes that are being forked.
    if folder.write("cgroup.kill", "1").is_ok() {
        return;
    }
    let frozen = freeze(folder);
    if frozen.is_none() {
        // Existing members stay, and can no longer fork.
        let _ = folder.write("pids.max", "0");
    }
    for member in folder.members() {
        // Fails if it has ended.
        let _ = kill_process(member, Signal::KILL);
    }
    if let Some((file, thawed)) = frozen {
        // In version 1, members die only now. They run no instruction before.
        let _ = folder.write(file, thawed);
    }
}

/// Freezes the members. Returns the file and the value that thaw them.
fn freeze(folder: &GroupFolder) -> Option<(&'static str, &'static str)> {
    let is_frozen: fn(&GroupFolder) -> bool;
    let thaw;
    if folder.write("cgroup.freeze", "1").is_ok() {
        thaw = ("cgroup.freeze", "0");
        is_frozen = |folder| folder.read_labelled("cgroup.events", "frozen") == Some(1);
    } else if folder.write("freezer.state", "FROZEN").is_ok() {
        thaw = ("freezer.state", "THAWED");
        is_frozen = |folder| {
            let state = folder.read("freezer.state");
            state.is_some_and(|state| state.trim() == "FROZEN")
        };
    } else {
        return None;
    }
    for _ in 0..MAX_FREEZE_POLLS {
        if is_frozen(folder) {
            break;
        }
        sleep(FREEZE_POLL_INTERVAL);
    }
    Some(thaw)
}

/// Blocks this thread.
pub(super) fn sleep(duration: Duration) {
    #[expect(
        clippy::disallowed_methods,
        reason = "called on a thread that may block"
    )]
    std::thread::sleep(duration);
}
