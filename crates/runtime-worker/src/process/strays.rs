//! Processes that left the group of their task, found by a variable in their environment.
//!
//! Every process of a task inherits a variable that names the folder of the task. A daemon that went
//! into a session of its own still has it, unless it cleared its environment; a control group finds
//! those too.

use std::path::Path;

use runtime_core::TemporaryStorage;
use rustix::process::{Pid, Signal, WaitOptions, getpid, getsid, kill_process, waitpid};

use super::proc::{Process, pids, processes, variable};

/// Names the folder of the task that a process belongs to.
pub(super) const MARKER: &str = "RUNTIME_WORKER_TASK";

/// How often to look again for what those who were killed started meanwhile.
const ROUNDS: usize = 8;

/// Kills every process of the task in `folder`; returns how many there were.
pub(super) fn kill_of_task(folder: &Path) -> usize {
    let folder = folder.as_os_str().as_encoded_bytes();
    kill_marked(|marker| marker == folder)
}

/// Kills what workers that are dead left running below the root of `storage`; returns how many there
/// were.
///
/// The folder of a dead worker was removed when the storage was opened; that of a live one is there.
pub(super) fn kill_of_dead_workers(storage: &TemporaryStorage) -> usize {
    let Some(root) = storage.path().parent().map(Path::to_owned) else {
        return 0;
    };
    kill_marked(|marker| {
        let folder = Path::new(std::str::from_utf8(marker).unwrap_or(""));
        let run = folder.parent();
        run.is_some_and(|run| run.parent() == Some(&root) && !run.exists())
    })
}

fn kill_marked(is_wanted: impl Fn(&[u8]) -> bool) -> usize {
    let own = getpid().as_raw_nonzero().get();
    let mut killed = std::collections::BTreeSet::new();
    for _ in 0..ROUNDS {
        // What has ended and waits for its parent has no environment any more.
        let strays: Vec<_> = pids()
            .filter(|pid| *pid != own)
            .filter(|pid| variable(*pid, MARKER).is_some_and(|marker| is_wanted(&marker)))
            .filter_map(Pid::from_raw)
            .collect();
        if strays.is_empty() {
            break;
        }
        for stray in strays {
            // That it ended meanwhile is what we want.
            let _ = kill_process(stray, Signal::KILL);
            killed.insert(stray.as_raw_nonzero());
        }
    }
    killed.len()
}

/// Reaps orphans that came to this process as their subreaper. `leads` tells the processes that this
/// worker started and waits for itself.
///
/// Children in our own session were started by other parts of this program, which wait for them.
pub(super) fn reap_orphans(leads: impl Fn(i32) -> bool) {
    let own = getpid().as_raw_nonzero().get();
    let session = getsid(None).map_or(0, |session| session.as_raw_nonzero().get());
    let is_orphan = |process: &Process| {
        process.parent == own
            && process.state == 'Z'
            && process.session != session
            && !leads(process.pid)
    };
    for orphan in processes().filter(is_orphan) {
        if let Some(pid) = Pid::from_raw(orphan.pid) {
            let _ = waitpid(Some(pid), WaitOptions::NOHANG);
        }
    }
}
