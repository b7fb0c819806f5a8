//! Finds and ends processes that left the process group of their command.
//!
//! A process belongs to a command if it has one of its [marks](crate::marks), is in the session of such a process, or
//! is its child. The parent of an orphan is dead; with [`adopt_orphans`], this process becomes its parent. A child of
//! this process with a lowered limit has hidden its marks: no other part of this program starts such processes.
//!
//! Only a control group or a pid namespace ends processes that are faster than any search, or that have the
//! capability to change their marks at will.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustix::process::{Pid, WaitOptions, waitpid};

use crate::marks::{CommandMark, CommandState, LiveOwners, MarkOwner};
use crate::orphan_search::{Candidate, KilledOrphans, Search, own_children, own_pid, raw};
use crate::proc::{self, ProcessKey};

/// The time between two scans without a mark after which a process counts as a non-task process.
///
/// Between its fork and the execution of a program, a process shows the environment of its parent. A single scan
/// may therefore miss the mark of a process that is about to execute a task's command.
const CONFIRM_AFTER: Duration = Duration::from_secs(1);

/// Makes this process the parent of orphans among its descendants (Linux: child subreaper).
pub(crate) fn adopt_orphans() -> io::Result<()> {
    #[cfg(target_os = "linux")]
    // The kernel reads the argument as a boolean: any pid turns the attribute on.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    Ok(())
}

/// Finds and kills the processes of commands.
///
/// The scanner remembers processes that belong to no task, so that a scan need not read the files of every
/// process on the machine. Its first scan must precede the first task: every process that exists by then belongs
/// to no task of this engine and is confirmed immediately.
#[derive(Debug)]
pub(crate) struct OrphanScanner {
    owner: MarkOwner,
    /// The limit of file locks that children inherit; `None` if it cannot be read, or if no child is an orphan.
    own_limit: Option<u64>,
    /// `None` before the first scan.
    non_tasks: Mutex<Option<Arc<NonTasks>>>,
}

/// Processes without a mark.
type NonTasks = BTreeMap<ProcessKey, NonTask>;

#[derive(Clone, Copy, Debug)]
enum NonTask {
    /// No scan has found a mark since this time.
    SuspectedSince(Instant),
    Confirmed,
}

impl NonTask {
    /// Returns the classification after a scan at `now` that found no mark.
    fn after_scan(previous: Option<Self>, now: Instant) -> Self {
        match previous {
            None => Self::SuspectedSince(now),
            Some(Self::SuspectedSince(first)) if now.duration_since(first) >= CONFIRM_AFTER => {
                Self::Confirmed
            }
            Some(previous) => previous,
        }
    }
}

impl OrphanScanner {
    /// Creates a scanner and makes its first scan. `adopts` is whether this process is the parent of orphans.
    pub(crate) fn new(owner: MarkOwner, adopts: bool) -> Self {
        let scanner = Self {
            owner,
            own_limit: adopts.then(|| proc::file_lock_limit(own_pid())).flatten(),
            non_tasks: Mutex::default(),
        };
        scanner.scan();
        scanner
    }

    pub(crate) fn owner(&self) -> &MarkOwner {
        &self.owner
    }

    /// Kills all processes of a command, whose first process has ended and is not reaped yet. Blocks until they have
    /// ended, for at most about two seconds.
    pub(crate) fn kill_command(&self, mark: &CommandMark, leader: Pid) -> KilledOrphans {
        let leader = raw(leader);
        let is_marked = |process: &Candidate| {
            process.number == Some(mark.number)
                || process.variable.as_deref() == Some(mark.variable.as_encoded_bytes())
                || self.is_hidden(process)
                || self.is_stale(process)
        };
        let search = Search {
            leader: Some(leader),
            is_marked: &is_marked,
        };
        search.run(|| self.scan())
    }

    /// Reaps the orphans of commands that this process has adopted.
    ///
    /// Other children of this process are left to those who started them.
    pub(crate) fn reap(&self) {
        for child in own_children() {
            // Its limit shows to whom it belongs, also if it has ended.
            let number = proc::file_lock_limit(child);
            let is_orphan = number.is_some_and(|number| match CommandMark::state(number) {
                CommandState::Running(leader) => child != leader && self.owner.owns(number),
                CommandState::Starting => false,
                CommandState::Unknown => self.owner.owns(number) || self.is_lowered(number),
            });
            if let Some(pid) = Pid::from_raw(child).filter(|_| is_orphan) {
                // Returns at once if it runs.
                let _ = waitpid(Some(pid), WaitOptions::NOHANG);
            }
        }
    }

    /// Returns whether a process belongs to a command of this worker that has ended: its sandbox was dropped, or the
    /// process was not ended in time.
    fn is_stale(&self, process: &Candidate) -> bool {
        process.number.is_some_and(|number| {
            self.owner.owns(number) && CommandMark::state(number) == CommandState::Unknown
        })
    }

    /// Returns whether a process is an adopted orphan that has lowered its limit to hide its mark.
    fn is_hidden(&self, process: &Candidate) -> bool {
        let is_hidden = |number| {
            // The commands of all engines of this process are its children.
            CommandMark::state(number) == CommandState::Unknown && self.is_lowered(number)
        };
        process.stat.parent == own_pid() && process.number.is_some_and(is_hidden)
    }

    fn is_lowered(&self, number: u64) -> bool {
        self.own_limit.is_some_and(|own| number < own)
    }

    /// Returns all processes that may belong to a task, with their marks.
    fn scan(&self) -> Vec<Candidate> {
        // The lock is not held during the scan, which may take long. If two scans overlap, the classifications of
        // the one that ends first are lost, and later scans repeat them.
        let known = self.non_tasks.lock().clone();
        let is_first = known.is_none();
        let (known, now) = (known.unwrap_or_default(), Instant::now());
        let (mut non_tasks, mut candidates) = (NonTasks::new(), Vec::new());
        // An orphan may have been confirmed while its parent lived.
        let children: BTreeSet<i32> = own_children().into_iter().collect();
        for key in proc::process_keys().filter(|key| key.pid != own_pid()) {
            let previous = known.get(&key).copied();
            if matches!(previous, Some(NonTask::Confirmed)) && !children.contains(&key.pid) {
                non_tasks.insert(key, NonTask::Confirmed);
                continue;
            }
            let Some(process) = Candidate::read(key.pid) else {
                continue;
            };
            let owned = process.number.is_some_and(|number| self.owner.owns(number));
            if !owned && process.variable.is_none() && !process.is_zombie() {
                let class = if is_first {
                    NonTask::Confirmed
                } else {
                    NonTask::after_scan(previous, now)
                };
                non_tasks.insert(key, class);
            }
            candidates.push(process);
        }
        *self.non_tasks.lock() = Some(Arc::new(non_tasks));
        candidates
    }
}

/// Kills the processes of dead workers. Returns their number.
pub(crate) fn kill_leftovers(live: &LiveOwners) -> KilledOrphans {
    let is_marked = |process: &Candidate| {
        let variable = process.variable.as_deref();
        process
            .number
            .is_some_and(|number| live.is_dead_number(number))
            || variable.is_some_and(|variable| live.is_dead(variable))
    };
    let search = Search {
        leader: None,
        is_marked: &is_marked,
    };
    search.run(|| {
        let keys = proc::process_keys().filter(|key| key.pid != own_pid());
        keys.filter_map(|key| Candidate::read(key.pid)).collect()
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::path::Path;
    use std::process::{Child, Command};

    use super::*;
    use crate::marks::TASK_VARIABLE;

    /// Held by tests that leave unmarked children: the scanners of other tests take them for hidden orphans.
    static HIDDEN_CHILDREN: Mutex<()> = Mutex::new(());

    fn scanner(process_folder: &Path) -> OrphanScanner {
        let owner = MarkOwner::of(process_folder).expect("the folder exists");
        OrphanScanner::new(owner, true)
    }

    #[test]
    fn non_task_is_confirmed_by_second_late_scan() {
        let start = Instant::now();
        let first = NonTask::after_scan(None, start);
        let soon = NonTask::after_scan(Some(first), start + CONFIRM_AFTER / 2);
        assert!(matches!(soon, NonTask::SuspectedSince(since) if since == start));
        let later = NonTask::after_scan(Some(soon), start + CONFIRM_AFTER);
        assert!(matches!(later, NonTask::Confirmed));
    }

    #[test]
    fn first_scan_confirms_all_non_tasks() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let scanner = scanner(folder.path());
        let non_tasks = scanner.non_tasks.lock().clone().unwrap_or_default();
        let is_confirmed = |non_task: &NonTask| matches!(non_task, NonTask::Confirmed);
        assert!(!non_tasks.is_empty() && non_tasks.values().all(is_confirmed));
        Ok(())
    }

    #[test]
    fn only_the_commands_processes_are_killed() -> io::Result<()> {
        let _alone = HIDDEN_CHILDREN.lock();
        let folder = tempfile::tempdir()?;
        let scanner = scanner(folder.path());
        let [mark, other] =
            ["a", "b"].map(|task| CommandMark::new(scanner.owner(), &folder.path().join(task)));
        let mut sleeper = Command::new("sleep");
        let sleeper = sleeper
            .arg("600")
            .env(TASK_VARIABLE, &mark.variable)
            .spawn()?;
        let mut sleeper = KillOnDrop(sleeper);
        let is_found = || {
            let found = scanner.scan();
            let variable = mark.variable.as_encoded_bytes();
            found
                .iter()
                .any(|process| process.variable.as_deref() == Some(variable))
        };
        // The environment is empty while the kernel sets up the program's memory.
        let limit = Instant::now() + Duration::from_secs(60);
        while !is_found() {
            assert!(Instant::now() < limit, "the marked process is not found");
        }
        assert_eq!(
            scanner.kill_command(&other, no_leader()),
            KilledOrphans::default()
        );
        assert_eq!(sleeper.0.try_wait()?, None);
        assert_eq!(scanner.kill_command(&mark, no_leader()).killed, 1);
        assert_eq!(sleeper.0.wait()?.signal(), Some(9), "it is not reaped here");
        Ok(())
    }

    /// Starts a program with a limit of file locks.
    fn start(number: u64, program: &[&str]) -> io::Result<KillOnDrop> {
        let mut command = Command::new("prlimit");
        command
            .arg(format!("--locks={number}:{number}"))
            .args(program);
        let child = KillOnDrop(command.spawn()?);
        let pid = i32::try_from(child.0.id()).expect("pids are small");
        wait_until(|| proc::file_lock_limit(pid) == Some(number));
        Ok(child)
    }

    fn wait_until(condition: impl Fn() -> bool) {
        let limit = Instant::now() + Duration::from_secs(60);
        while !condition() {
            assert!(Instant::now() < limit, "the condition does not hold");
            std::thread::yield_now();
        }
    }

    /// Starts a program with a limit of file locks, whose parent ends, so that this process adopts it. Returns its pid.
    fn start_orphan(number: u64, program: &str) -> io::Result<i32> {
        adopt_orphans()?;
        let script =
            format!("prlimit --locks={number}:{number} {program} >/dev/null 2>&1 & echo $!");
        let output = Command::new("sh").args(["-c", &script]).output()?;
        let pid = String::from_utf8_lossy(&output.stdout).trim().parse();
        let pid = pid.map_err(io::Error::other)?;
        wait_until(|| {
            let is_adopted = own_children().contains(&pid);
            is_adopted && proc::file_lock_limit(pid) == Some(number)
        });
        Ok(pid)
    }

    #[test]
    fn number_identifies_a_command() -> io::Result<()> {
        let _alone = HIDDEN_CHILDREN.lock();
        let folder = tempfile::tempdir()?;
        let scanner = scanner(folder.path());
        let [mark, other] =
            ["a", "b"].map(|task| CommandMark::new(scanner.owner(), &folder.path().join(task)));
        let member = start_orphan(mark.number, "env -i setsid sleep 600")?;
        let mut spared = start(other.number, &["sleep", "600"])?;
        let found = scanner.kill_command(&mark, no_leader());
        assert_eq!((found.killed, found.remaining), (1, 0));
        assert_eq!(proc::stat(member), None, "it is killed and reaped");
        assert_eq!(spared.0.try_wait()?, None, "its command runs");
        Ok(())
    }

    #[test]
    fn exit_statuses_of_others_are_left() -> io::Result<()> {
        let _alone = HIDDEN_CHILDREN.lock();
        let (folder, elsewhere) = (tempfile::tempdir()?, tempfile::tempdir()?);
        let (ours, theirs) = (scanner(folder.path()), scanner(elsewhere.path()));
        let mark = CommandMark::new(ours.owner(), folder.path());
        // Of another engine of this process, of a command that starts, and of a terminal.
        let of_engine = CommandMark::new(theirs.owner(), elsewhere.path());
        let of_command = CommandMark::new(ours.owner(), folder.path());
        let own_limit = ours.own_limit.expect("it can be read");
        for number in [of_engine.number, of_command.number, own_limit] {
            let pid = start_orphan(number, "perl -e 'use POSIX; setsid; sleep 1; exit 7'")?;
            let state = || proc::stat(pid).map(|stat| stat.state);
            wait_until(|| state() == Some('Z'));
            ours.kill_command(&mark, no_leader());
            ours.reap();
            assert_eq!(state(), Some('Z'), "{number:x}");
            let pid = Pid::from_raw(pid).expect("not 0");
            let (_, status) = waitpid(Some(pid), WaitOptions::NOHANG)?.expect("it has ended");
            assert_eq!(status.exit_status(), Some(7));
        }
        Ok(())
    }

    #[test]
    fn adopted_zombies_are_reaped() -> io::Result<()> {
        let _alone = HIDDEN_CHILDREN.lock();
        let folder = tempfile::tempdir()?;
        let scanner = scanner(folder.path());
        let [running, ended] = [(); 2].map(|()| CommandMark::new(scanner.owner(), folder.path()));
        running.started(no_leader());
        let mut orphans = Vec::new();
        for mark in [&running, &ended] {
            let pid = start_orphan(mark.number, "sleep 0.1")?;
            wait_until(|| proc::stat(pid).is_some_and(|stat| stat.state == 'Z'));
            orphans.push(pid);
        }
        drop(ended);
        scanner.reap();
        assert!(orphans.into_iter().all(|pid| proc::stat(pid).is_none()));
        Ok(())
    }

    #[test]
    fn processes_of_ended_commands_are_killed() -> io::Result<()> {
        let _alone = HIDDEN_CHILDREN.lock();
        let folder = tempfile::tempdir()?;
        let scanner = scanner(folder.path());
        let [mark, ended] = [(); 2].map(|()| CommandMark::new(scanner.owner(), folder.path()));
        let mut stale = start(ended.number, &["sleep", "600"])?;
        assert_eq!(scanner.kill_command(&mark, no_leader()).killed, 0);
        drop(ended);
        assert_eq!(scanner.kill_command(&mark, no_leader()).killed, 1);
        assert_eq!(stale.0.wait()?.signal(), Some(9));
        Ok(())
    }

    #[test]
    fn lowered_limit_does_not_hide() -> io::Result<()> {
        let _alone = HIDDEN_CHILDREN.lock();
        let folder = tempfile::tempdir()?;
        let scanner = scanner(folder.path());
        let mark = CommandMark::new(scanner.owner(), folder.path());
        let hidden = start_orphan(5, "env -i setsid sleep 600")?;
        assert_eq!(scanner.kill_command(&mark, no_leader()).killed, 1);
        assert_eq!(proc::stat(hidden), None, "it is killed and reaped");
        Ok(())
    }

    #[test]
    fn leftovers_are_found_by_number() -> io::Result<()> {
        let _alone = HIDDEN_CHILDREN.lock();
        let root = tempfile::tempdir()?;
        let folders = ["run-a", "run-b"].map(|name| root.path().join(name));
        folders.iter().try_for_each(std::fs::create_dir)?;
        let owners = folders
            .each_ref()
            .map(|it| MarkOwner::of(it).expect("it exists"));
        let numbers = owners.map(|owner| CommandMark::new(&owner, root.path()).number);
        let mut dead = start(numbers[0], &["env", "-i", "sleep", "600"])?;
        let mut live = start(numbers[1], &["env", "-i", "sleep", "600"])?;
        std::fs::remove_dir(&folders[0])?;
        let found = kill_leftovers(&LiveOwners::below(root.path(), &[])?);
        assert_eq!((found.killed, found.remaining), (1, 0));
        assert_eq!(dead.0.wait()?.signal(), Some(9));
        assert_eq!(live.0.try_wait()?, None);
        Ok(())
    }

    /// A pid that no process has.
    fn no_leader() -> Pid {
        Pid::from_raw(i32::MAX).expect("not 0")
    }

    struct KillOnDrop(Child);

    impl Drop for KillOnDrop {
        fn drop(&mut self) {
            // Both fail only if the process has ended.
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}
