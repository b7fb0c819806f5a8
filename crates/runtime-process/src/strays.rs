//! Processes that left the group of their task, found by a variable in their environment.
//!
//! Every process of a task inherits a variable that names the folder of the task. A daemon that went
//! into a session of its own still has it, unless it cleared its environment; a control group finds
//! those too.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use runtime_core::TemporaryStorage;
use rustix::process::{Pid, Signal, WaitOptions, getpid, getsid, kill_process, waitpid};

use crate::proc::{Identity, Process, identities, processes, variable};

/// Names the folder of the task that a process belongs to.
pub(crate) const MARKER: &str = "RUNTIME_WORKER_TASK";

/// How often to look again for what those who were killed started meanwhile.
const ROUNDS: usize = 8;

/// How far apart two looks must be that find no variable, before there is no third. A process that was only just
/// forked shows what its parent was started with, until it starts a program itself.
const SETTLING: Duration = Duration::from_secs(1);

/// Looks for the processes of tasks. It remembers who belongs to none, so that a look does not read the
/// environment of every process of the machine.
///
/// The first look must come before the first task: whoever is there by then belongs to none that is still to come.
#[derive(Debug, Default)]
pub(crate) struct Search {
    /// `None` before the first look.
    strangers: Mutex<Option<Arc<Strangers>>>,
}

/// Processes without the variable.
type Strangers = BTreeMap<Identity, Stranger>;

#[derive(Clone, Copy, Debug)]
enum Stranger {
    /// Seems to be one since then.
    Since(Instant),
    Surely,
}

impl Stranger {
    /// What is known after a look at `now` that found no variable.
    fn seen(before: Option<Self>, now: Instant) -> Self {
        match before {
            None => Self::Since(now),
            Some(Self::Since(first)) if now.duration_since(first) >= SETTLING => Self::Surely,
            Some(before) => before,
        }
    }
}

impl Search {
    /// Kills every process of the task in `folder`; returns how many there were.
    pub(crate) fn kill_of_task(&self, folder: &Path) -> usize {
        let folder = folder.as_os_str().as_encoded_bytes();
        self.kill_marked(|marker| marker == folder)
    }

    /// Kills what workers that are dead left running below the root of `storage`; returns how many there
    /// were.
    ///
    /// The folder of a dead worker was removed when the storage was opened; that of a live one is there.
    pub(crate) fn kill_of_dead_workers(&self, storage: &TemporaryStorage) -> usize {
        let Some(root) = storage.path().parent().map(Path::to_owned) else {
            return 0;
        };
        self.kill_marked(|marker| {
            let folder = Path::new(std::str::from_utf8(marker).unwrap_or(""));
            let run = folder.parent();
            run.is_some_and(|run| run.parent() == Some(&root) && !run.exists())
        })
    }

    fn kill_marked(&self, is_wanted: impl Fn(&[u8]) -> bool) -> usize {
        let mut killed = BTreeSet::new();
        for _ in 0..ROUNDS {
            let marked = self.marked().into_iter();
            let strays: Vec<_> = marked
                .filter(|(_, marker)| is_wanted(marker))
                .filter_map(|(pid, _)| Pid::from_raw(pid))
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

    /// The processes of all tasks, with what their variables say.
    ///
    /// What has ended and waits for its parent has no environment any more.
    fn marked(&self) -> Vec<(i32, Vec<u8>)> {
        let own = getpid().as_raw_nonzero().get();
        let known = self.strangers.lock().clone();
        let is_first = known.is_none();
        let (known, now) = (known.unwrap_or_default(), Instant::now());
        let (mut strangers, mut marked) = (Strangers::new(), Vec::new());
        for identity in identities().filter(|identity| identity.pid != own) {
            let before = known.get(&identity).copied();
            if let Some(Stranger::Surely) = before {
                strangers.insert(identity, Stranger::Surely);
                continue;
            }
            match variable(identity.pid, MARKER) {
                Ok(Some(marker)) => marked.push((identity.pid, marker)),
                Ok(None) if is_first => drop(strangers.insert(identity, Stranger::Surely)),
                Ok(None) => drop(strangers.insert(identity, Stranger::seen(before, now))),
                // Whose it is may still come out.
                Err(_) => {}
            }
        }
        // What another look has learnt meanwhile is lost, and learnt again.
        *self.strangers.lock() = Some(Arc::new(strangers));
        marked
    }
}

/// Reaps orphans that came to this process as their subreaper. `leads` tells the processes that this
/// worker started and waits for itself.
///
/// Children in our own session were started by other parts of this program, which wait for them.
pub(crate) fn reap_orphans(leads: impl Fn(i32) -> bool) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stranger_is_sure_after_two_looks_that_are_far_enough_apart() {
        let start = Instant::now();
        let first = Stranger::seen(None, start);
        let soon = Stranger::seen(Some(first), start + SETTLING / 2);
        assert!(matches!(soon, Stranger::Since(since) if since == start));
        let later = Stranger::seen(Some(soon), start + SETTLING);
        assert!(matches!(later, Stranger::Surely));
    }

    #[test]
    fn a_task_is_found_among_strangers_that_nobody_looks_at_again() -> std::io::Result<()> {
        let (folder, other) = (tempfile::tempdir()?, tempfile::tempdir()?);
        let search = Search::default();
        assert_eq!(search.kill_of_task(other.path()), 0);
        let surely = |stranger: &Stranger| matches!(stranger, Stranger::Surely);
        let strangers = search.strangers.lock().clone().unwrap_or_default();
        assert!(!strangers.is_empty() && strangers.values().all(surely));

        let mut sleeper = std::process::Command::new("sleep");
        let sleeper = sleeper.arg("600").env(MARKER, folder.path()).spawn()?;
        let mut sleeper = Sleeper(sleeper);
        let marker = folder.path().as_os_str().as_encoded_bytes();
        // A look may come while the system still makes the program's memory, and find nothing.
        while !search.marked().iter().any(|(_, found)| found == marker) {}
        assert_eq!(search.kill_of_task(other.path()), 0);
        assert_eq!(search.kill_of_task(folder.path()), 1);
        assert!(!sleeper.0.wait()?.success());
        Ok(())
    }

    /// Is killed when it is dropped.
    struct Sleeper(std::process::Child);

    impl Drop for Sleeper {
        fn drop(&mut self) {
            // Both fail only if it has ended already.
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}
