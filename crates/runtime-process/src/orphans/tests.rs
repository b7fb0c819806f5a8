//! Tests with processes that have marks.

use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Signal, kill_process_group};

use super::*;
use crate::orphan_search::TaskVariable;

#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
mod lists;

/// Held by tests that leave unmarked children: the scanners of other tests take them for hidden orphans.
static HIDDEN_CHILDREN: Mutex<()> = Mutex::new(());

fn scanner(process_folder: &Path) -> OrphanScanner {
    let owner = OwningWorker::of(process_folder).expect("the folder exists");
    OrphanScanner::new(owner, true)
}

#[test]
fn non_task_is_confirmed_by_second_late_scan() {
    let start = Instant::now();
    let first = ProcessClass::after_scan(None, start, 7);
    let soon = ProcessClass::after_scan(Some(first), start + CONFIRM_AFTER / 2, 7);
    assert!(matches!(soon, ProcessClass::SuspectedSince { first, .. } if first == start));
    let later = ProcessClass::after_scan(Some(soon), start + CONFIRM_AFTER, 7);
    assert!(matches!(later, ProcessClass::NonTask));
}

#[test]
fn variables_are_read_per_program_and_once_more() {
    let start = Instant::now();
    assert!(ProcessClass::tries_variables(None, start, 7));
    let first = ProcessClass::after_scan(None, start, 7);
    let soon = start + CONFIRM_AFTER / 2;
    assert!(!ProcessClass::tries_variables(Some(first), soon, 7));
    assert!(ProcessClass::tries_variables(Some(first), soon, 8));
    let executed = ProcessClass::after_scan(Some(first), soon, 8);
    assert!(!ProcessClass::tries_variables(Some(executed), soon, 8));
    let later = start + CONFIRM_AFTER;
    assert!(ProcessClass::tries_variables(Some(executed), later, 8));
    let confirmed = ProcessClass::after_scan(Some(executed), later, 8);
    assert!(matches!(confirmed, ProcessClass::NonTask));
}

#[test]
fn executed_program_has_another_environment() -> io::Result<()> {
    let mut child = Command::new("sh");
    let child = child.args(["-c", "read go; exec sleep 600"]);
    let mut child = KillOnDrop(child.stdin(Stdio::piped()).spawn()?);
    let pid = child.0.id().cast_signed();
    let environment = || proc::stat(pid).map_or(0, |stat| stat.environment);
    wait_until(|| environment() != 0);
    let before = environment();
    child.0.stdin.take().expect("a pipe").write_all(b"go\n")?;
    wait_until(|| environment() != before && environment() != 0);
    Ok(())
}

#[test]
fn variables_of_zombie_are_not_opened() -> io::Result<()> {
    let mut child = Command::new("true").spawn()?;
    let pid = child.id().cast_signed();
    wait_until(|| proc::stat(pid).is_some_and(|stat| stat.state == 'Z'));
    let stat = proc::stat(pid).expect("it is not reaped");
    let zombie = OrphanCandidate::read(stat, true).expect("it is not reaped");
    assert_eq!(zombie.variable, TaskVariable::Unreadable);
    assert!(zombie.is_zombie() && zombie.number.is_some());
    child.wait().map(drop)
}

#[test]
fn members_of_running_commands_are_skipped() -> io::Result<()> {
    let _alone = HIDDEN_CHILDREN.lock();
    let folder = tempfile::tempdir()?;
    let scanner = scanner(folder.path());
    let [own, other] = [(); 2].map(|()| CommandMark::new(scanner.owner(), folder.path()));
    let leader = start(other.number, &["setsid", "sh", "-c", "sleep 600 & wait"])?;
    let leader_pid = leader.0.id().cast_signed();
    let child = || {
        let mut all = proc::all_stats();
        all.find(|stat| stat.parent == leader_pid && stat.session == leader_pid)
    };
    wait_until(|| child().is_some());
    let pid = child().expect("it was found").pid;
    let group = Pid::from_raw(leader_pid).expect("not 0");
    other.started(group);
    let is_read = |mark: &CommandMark| {
        let found = scanner.scan(mark, raw(no_leader()));
        found.iter().any(|process| process.stat.pid == pid)
    };
    assert!(!is_read(&own), "its command runs");
    assert!(is_read(&other), "it belongs to this command");
    drop(other);
    assert!(is_read(&own), "its command has ended");
    Ok(kill_process_group(group, Signal::KILL)?)
}

#[test]
fn number_of_another_command_does_not_hide() -> io::Result<()> {
    let _alone = HIDDEN_CHILDREN.lock();
    let folder = tempfile::tempdir()?;
    let scanner = scanner(folder.path());
    let [own, other] = [(); 2].map(|()| CommandMark::new(scanner.owner(), folder.path()));
    let mut hidden = start(other.number, &["env", "-i", "setsid", "sleep", "600"])?;
    let pid = hidden.0.id().cast_signed();
    wait_until(|| proc::stat(pid).is_some_and(|stat| stat.session == pid));
    other.started(no_leader());
    for _ in 0..2 {
        scanner.scan(&other, raw(no_leader()));
    }
    // It is in the session of a command, and has set the number of another one.
    let leader = Pid::from_raw(pid).expect("not 0");
    let mut search = scanner.scan(&own, raw(no_leader()));
    search.retain(|process| process.stat.session == raw(leader));
    assert_eq!(search.len(), 1, "it is found by its session");
    hidden.0.kill()
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
        let found = scanner.scan(&other, raw(no_leader()));
        let variable = mark.variable.as_encoded_bytes();
        found
            .iter()
            .any(|process| process.variable.value() == Some(variable))
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
    let script = format!("prlimit --locks={number}:{number} {program} >/dev/null 2>&1 & echo $!");
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
        .map(|it| OwningWorker::of(it).expect("it exists"));
    let numbers = owners.map(|owner| CommandMark::new(&owner, root.path()).number);
    let mut dead = start(numbers[0], &["env", "-i", "sleep", "600"])?;
    let mut live = start(numbers[1], &["env", "-i", "sleep", "600"])?;
    std::fs::remove_dir(&folders[0])?;
    let found = kill_leftovers(&LiveWorkers::below(root.path(), &[])?);
    assert_eq!((found.killed, found.remaining), (1, 0));
    assert_eq!(dead.0.wait()?.signal(), Some(9));
    assert_eq!(live.0.try_wait()?, None);
    Ok(())
}

#[test]
fn session_of_others_is_spared() {
    // A session that was created outside of this pid namespace has number 0 for all processes inside.
    let candidate = |pid, number| OrphanCandidate {
        stat: proc::ProcStat {
            pid,
            state: 'S',
            parent: 1,
            group: 0,
            session: 0,
            cpu_ticks: 0,
            resident_memory: 0,
            environment: 0,
            is_kernel_thread: false,
        },
        number,
        variable: TaskVariable::Missing,
    };
    let search = OrphanCleanup {
        leader: None,
        is_marked: &|process| process.number == Some(7),
        number: None,
        is_marked_child: &|_| false,
    };
    let found = search.find(&[candidate(i32::MAX - 1, Some(7)), candidate(i32::MAX, None)]);
    assert_eq!(
        found.iter().map(|stat| stat.pid).collect::<Vec<_>>(),
        [i32::MAX - 1]
    );
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
