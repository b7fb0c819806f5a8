//! Tests of the lists of processes, with invented last pids.

use super::*;

#[test]
fn first_list_confirms_all_non_tasks() -> io::Result<()> {
    let folder = tempfile::tempdir()?;
    // No other process may be visible in a container.
    let _sleeper = KillOnDrop(Command::new("sleep").arg("600").spawn()?);
    let scanner = scanner(folder.path());
    let known = scanner.known.lock();
    let is_confirmed = |class: &ProcessClass| matches!(class, ProcessClass::NonTask);
    assert!(!known.classes.is_empty() && known.classes.values().all(is_confirmed));
    Ok(())
}

#[test]
fn processes_of_an_earlier_engine_are_found() -> io::Result<()> {
    let _alone = HIDDEN_CHILDREN.lock();
    let folder = tempfile::tempdir()?;
    let owner = OwningWorker::of(folder.path())?;
    let dropped = CommandMark::new(&owner, folder.path());
    let mut stale = start(dropped.number, &["sleep", "600"])?;
    dropped.started(no_leader());
    drop(dropped);
    let scanner = scanner(folder.path());
    let mark = CommandMark::new(scanner.owner(), folder.path());
    assert_eq!(scanner.kill_command(&mark, no_leader()).killed, 1);
    assert_eq!(stale.0.wait()?.signal(), Some(9));
    Ok(())
}

/// The cycle of the pids in the tests that set it.
const CYCLE: PidCycle = PidCycle(7);

/// A process with a lower pid than the first process of a command, and one with a higher pid. Both have the number of
/// the command.
struct AroundLeader {
    mark: CommandMark,
    leader: KillOnDrop,
    lower: KillOnDrop,
    higher: KillOnDrop,
}

impl AroundLeader {
    fn start(scanner: &OrphanScanner, folder: &Path) -> io::Result<Self> {
        loop {
            let mut mark = CommandMark::new(scanner.owner(), folder);
            mark.cycle = Some(CYCLE);
            let sleep = || start(mark.number, &["env", "-i", "setsid", "sleep", "600"]);
            let [lower, leader, higher] = [sleep()?, sleep()?, sleep()?];
            let pids = [&lower, &leader, &higher].map(|it| it.0.id());
            // Otherwise, the kernel has started over in between.
            if pids.is_sorted() {
                mark.started(Pid::from_raw(leader.0.id().cast_signed()).expect("not 0"));
                return Ok(Self {
                    mark,
                    leader,
                    lower,
                    higher,
                });
            }
        }
    }

    /// Returns whether the lower and the higher one are listed.
    fn are_listed(&self, scanner: &OrphanScanner) -> [bool; 2] {
        let found = scanner.scan(&self.mark, self.leader.0.id().cast_signed());
        [&self.lower, &self.higher].map(|process| {
            let pid = process.0.id().cast_signed();
            found.iter().any(|found| found.stat.pid == pid)
        })
    }
}

#[test]
fn only_later_processes_are_listed_in_one_cycle() -> io::Result<()> {
    let _alone = HIDDEN_CHILDREN.lock();
    let folder = tempfile::tempdir()?;
    let mut scanner = scanner(folder.path());
    scanner.last_pid = || {
        Some(LastPid {
            pid: i32::MAX,
            cycle: CYCLE,
        })
    };
    let far = Duration::from_secs(3600);
    scanner.known.lock().next_complete += far;
    let processes = AroundLeader::start(&scanner, folder.path())?;
    assert_eq!(processes.are_listed(&scanner), [false, true]);
    // From time to time, all are listed.
    scanner.known.lock().next_complete = Instant::now();
    assert_eq!(processes.are_listed(&scanner), [true, true]);
    assert_eq!(processes.are_listed(&scanner), [false, true]);
    // The remaining processes of a command without a search are older.
    let dropped = CommandMark::new(scanner.owner(), folder.path());
    dropped.started(no_leader());
    drop(dropped);
    assert_eq!(processes.are_listed(&scanner), [true, true]);
    assert_eq!(processes.are_listed(&scanner), [false, true]);
    Ok(())
}

#[test]
fn lower_pid_is_found_in_another_cycle() -> io::Result<()> {
    let _alone = HIDDEN_CHILDREN.lock();
    let folder = tempfile::tempdir()?;
    let mut scanner = scanner(folder.path());
    let started_over = || {
        Some(LastPid {
            pid: 301,
            cycle: PidCycle(CYCLE.0 + 1),
        })
    };
    for last_pid in [started_over as fn() -> _, || None] {
        scanner.last_pid = last_pid;
        scanner.known.lock().next_complete += Duration::from_secs(3600);
        let mut processes = AroundLeader::start(&scanner, folder.path())?;
        let leader = Pid::from_raw(processes.leader.0.id().cast_signed()).expect("not 0");
        let found = scanner.kill_command(&processes.mark, leader);
        assert_eq!((found.killed, found.remaining), (2, 0));
        for process in [&mut processes.lower, &mut processes.higher] {
            assert_eq!(process.0.wait()?.signal(), Some(9));
        }
    }
    Ok(())
}

#[test]
fn start_over_during_list_makes_it_unusable() -> io::Result<()> {
    let leader = KillOnDrop(Command::new("sleep").arg("600").spawn()?);
    let leader = leader.0.id().cast_signed();
    let observations = std::cell::Cell::new(0);
    let list = |pid, over_at| {
        observations.set(0);
        later_processes(Some(CYCLE), leader, || {
            observations.set(observations.get() + 1);
            let cycle = PidCycle(CYCLE.0 + u64::from(observations.get() >= over_at));
            Some(LastPid { pid, cycle })
        })
    };
    assert!(list(i32::MAX, 9).is_some_and(|keys| keys[0].pid == leader));
    assert!(list(i32::MAX, 2).is_none());
    assert!(list(i32::MAX, 1).is_none());
    // No process started later.
    assert_eq!(list(leader, 9), Some(Vec::new()));
    assert_eq!(later_processes(None, leader, pid_cycle::observe), None);
    Ok(())
}
