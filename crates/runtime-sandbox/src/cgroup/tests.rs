//! Tests with real groups, one for each kind of host. They are skipped where this user may not create groups.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::group::Cgroup;
use super::limits::CgroupLimits;
use super::own_groups::own_groups;
use super::parents::CgroupParents;

const KILLED: Option<i32> = Some(9);

/// Finds groups as if the machine had only some hierarchies: `v2`, or controllers of version 1.
fn parents(hierarchies: &[&str]) -> Option<CgroupParents> {
    let cgroup = fs::read_to_string("/proc/self/cgroup").ok()?;
    let mountinfo = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let mut found = own_groups(&cgroup, &mountinfo);
    found.retain(|it| hierarchies.iter().any(|name| it.has(name)));
    let parents = CgroupParents::probe(found, |_| Ok(()));
    if parents.support().parents.is_empty() {
        eprintln!("skipped: this user may not create groups with {hierarchies:?}");
        return None;
    }
    Some(parents)
}

/// A process in a group. It is killed on drop.
struct Member(Child);

impl Member {
    /// Starts a script when its process is in the group.
    fn start(group: &Cgroup, script: &str) -> io::Result<Self> {
        let mut command = Command::new("sh");
        command
            .args(["-c", &format!("read go; {script}")])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut member = Self(command.spawn()?);
        for mut file in group.join_files()? {
            write!(file, "{}", member.0.id())?;
        }
        let stdin = member.0.stdin.take();
        stdin.expect("it is piped").write_all(b"go\n")?;
        Ok(member)
    }

    fn signal(&mut self) -> io::Result<Option<i32>> {
        self.0.wait().map(|status| status.signal())
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // Both fail only if it has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until a condition holds.
fn wait_until(condition: impl Fn() -> bool) {
    let limit = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < limit, "the condition does not hold");
        super::kill::sleep(Duration::from_millis(2));
    }
}

/// Forks again and again for 20 seconds, and lets each parent die. Each process has a new session, no environment and no dump.
const FORKER: &str = r#"exec perl -e 'use POSIX; %ENV = (); $end = time + 20; while (time < $end) { fork and exit; setsid; }'"#;

#[test]
fn every_kind_of_host_kills_all_members() -> io::Result<()> {
    for hierarchies in [
        &["v2"][..],
        &["freezer"],
        &["pids"],
        &["v2", "memory", "pids"],
    ] {
        let Some(parents) = parents(hierarchies) else {
            continue;
        };
        assert!(parents.support().contains_processes(), "{hierarchies:?}");
        let group = parents
            .create_limited(&CgroupLimits::default())
            .expect("as during the probe");
        let mut sleeper = Member::start(&group, "exec setsid sleep 600")?;
        let _forker = Member::start(&group, FORKER)?;
        assert!(group.is_populated());
        assert!(group.end(), "{hierarchies:?}: members are left");
        assert_eq!(sleeper.signal()?, KILLED);
        let paths = group.paths();
        drop(group);
        assert!(paths.iter().all(|path| !path.exists()), "{paths:?}");
    }
    Ok(())
}

#[test]
fn drop_kills_and_removes() -> io::Result<()> {
    let Some(parents) = parents(&["v2", "memory", "pids", "freezer"]) else {
        return Ok(());
    };
    let group = parents
        .create_limited(&CgroupLimits::default())
        .expect("as during the probe");
    let paths: Vec<_> = group
        .folders()
        .iter()
        .map(|it| it.path().to_owned())
        .collect();
    let mut member = Member::start(&group, "exec sleep 600")?;
    drop(group);
    assert_eq!(member.signal()?, KILLED);
    // Its member was dying during the drop. The next creation removes the group.
    drop(
        parents
            .create_limited(&CgroupLimits::default())
            .expect("as during the probe"),
    );
    assert!(paths.iter().all(|path| !path.exists()), "{paths:?}");
    Ok(())
}

#[test]
fn groups_of_dead_workers_are_removed() -> io::Result<()> {
    for hierarchies in [&["v2"][..], &["freezer"], &["v2", "memory", "pids"]] {
        // A parent of this test: other tests have groups, too.
        let Some(outer) = parents(hierarchies) else {
            continue;
        };
        let outer = outer
            .create_limited(&CgroupLimits::default())
            .expect("as during the probe");
        let parents = CgroupParents::find_below(outer.folders()[0].path(), |_| Ok(()));
        let live = parents
            .create_limited(&CgroupLimits::default())
            .expect("below an own group");
        let mut spared = Member::start(&live, "exec sleep 600")?;
        let mut dead = Vec::new();
        for folder in outer.folders() {
            dead.push(folder.path().join("task-00000000000000aa"));
            fs::create_dir(&dead[dead.len() - 1])?;
            fs::create_dir(folder.path().join("foreign"))?;
        }
        let mut orphan = Command::new("sleep").arg("600").spawn()?;
        for group in &dead {
            fs::write(group.join("cgroup.procs"), orphan.id().to_string())?;
        }
        let found = parents.remove_abandoned();
        assert_eq!(orphan.wait()?.signal(), KILLED, "{hierarchies:?}");
        assert_eq!((found.removed, found.remaining.len()), (dead.len(), 0));
        assert!(dead.iter().all(|group| !group.exists()));
        assert!(
            outer
                .folders()
                .iter()
                .all(|it| it.path().join("foreign").exists())
        );
        assert_eq!(spared.0.try_wait()?, None, "its worker lives");
        live.end();
        assert_eq!(spared.signal()?, KILLED);
    }
    Ok(())
}

#[test]
fn memory_limit_is_enforced_and_counted() -> io::Result<()> {
    let Some(parents) = parents(&["v2", "memory"]).filter(|it| it.support().memory) else {
        return Ok(());
    };
    let limits = CgroupLimits {
        memory: Some(32 << 20),
        ..CgroupLimits::default()
    };
    let group = parents
        .create_limited(&limits)
        .expect("the controller exists");
    let mut member = Member::start(&group, "exec tail /dev/zero")?;
    assert_eq!(member.signal()?, KILLED);
    let usage = group.usage();
    assert_eq!(usage.oom_kills, Some(1));
    let peak = usage.peak_memory.unwrap_or(0);
    assert!((16 << 20..=32 << 20).contains(&peak), "{peak}");
    Ok(())
}

#[test]
fn process_limit_is_enforced_and_counted() -> io::Result<()> {
    let Some(parents) = parents(&["v2", "pids"]).filter(|it| it.support().pids) else {
        return Ok(());
    };
    let limits = CgroupLimits {
        pids: Some(4),
        ..CgroupLimits::default()
    };
    let group = parents
        .create_limited(&limits)
        .expect("the controller exists");
    let bomb = "for i in 1 2 3 4 5 6 7 8; do sleep 600 & done; wait";
    let _member = Member::start(&group, bomb)?;
    wait_until(|| group.usage().refused_forks.is_some_and(|forks| forks > 0));
    assert!(
        group
            .folders()
            .iter()
            .all(|folder| folder.members().len() <= 4)
    );
    assert!(group.end());
    Ok(())
}

#[test]
fn cpu_limit_is_set_and_time_counted() -> io::Result<()> {
    let Some(parents) = parents(&["v2", "cpu", "cpuacct"]).filter(|it| it.support().cpu) else {
        return Ok(());
    };
    let limits = CgroupLimits {
        cpus: Some(0.5),
        cpu_weight: Some(10),
        ..CgroupLimits::default()
    };
    let group = parents
        .create_limited(&limits)
        .expect("the controller exists");
    let set = group.folders().iter().any(|folder| {
        let v2 = folder
            .read("cpu.max")
            .is_some_and(|max| max.trim() == "50000 100000");
        v2 || folder.read_number("cpu.cfs_quota_us") == Some(50_000)
    });
    assert!(set);
    let mut member = Member::start(&group, "i=0; while [ $i -lt 20000 ]; do i=$((i + 1)); done")?;
    assert!(member.0.wait()?.success());
    assert!(
        group
            .usage()
            .cpu
            .is_some_and(|cpu| cpu > Duration::from_millis(1))
    );
    let without = parents
        .create_limited(&CgroupLimits::default())
        .expect("as during the probe");
    let joins_cpu = without
        .folders()
        .iter()
        .any(|folder| folder.has("cpu.cfs_quota_us"));
    assert!(!joins_cpu, "it is slow to join");
    Ok(())
}

#[test]
fn refused_join_is_reported() {
    let cgroup = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let mountinfo = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let found = own_groups(&cgroup, &mountinfo);
    let count = found.len();
    let refused = || io::Error::from(io::ErrorKind::PermissionDenied);
    let parents = CgroupParents::probe(found, |_| Err(refused()));
    assert_eq!(parents.support().kill, None);
    assert_eq!(parents.support().unusable.len(), count);
    let group = parents
        .create_limited(&CgroupLimits::default())
        .expect("it contains nothing");
    assert!(group.folders().is_empty() && group.end());
    let report = parents.support().to_string();
    assert!(report.starts_with("no control groups"), "{report}");
}
