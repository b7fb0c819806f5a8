//! Control groups: real ones where this user may make some, and folders that look like them for what only a
//! machine that runs out of memory does.
#![cfg(target_os = "linux")]

use std::path::{Path, PathBuf};

use runtime_process::ProcessEngine;
use runtime_worker::plugins::ResourceUsage;
use serde_json::json;

use crate::support::{Fixture, engine, is_alive, sh, state};

/// A folder in which control groups seem to be made, and a count of what the machine killed.
struct Machine {
    groups: PathBuf,
    vmstat: PathBuf,
}

impl Machine {
    fn new(fixture: &Fixture) -> Self {
        let machine = Self {
            groups: fixture.mark("groups"),
            vmstat: fixture.mark("vmstat"),
        };
        std::fs::create_dir(&machine.groups).expect("a folder of the test");
        std::fs::write(&machine.vmstat, "oom_kill 3\n").expect("a file of the test");
        machine
    }

    /// Lets groups be made.
    fn delegated(self) -> Self {
        std::fs::write(self.groups.join("cgroup.procs"), "").expect("a file of the test");
        self
    }

    /// Runs a script that finds its group as `$GROUP` and the count as `$VMSTAT`; gives the log.
    async fn run(&self, fixture: &Fixture, script: &str) -> String {
        let script = format!("GROUP=$(echo \"$GROUPS_OF_TEST\"/task-*); {script}");
        let task_id = fixture.create(json!({
            "command": ["sh", "-c", script],
            "env": { "GROUPS_OF_TEST": self.groups, "VMSTAT": self.vmstat },
        }));
        let engine = engine().cgroups_below(&self.groups).vmstat(&self.vmstat);
        let worker = fixture.worker_with(engine).plugin(ResourceUsage);
        let running = fixture.start(worker);
        fixture.resolved(&task_id).await;
        running.stop().await;
        fixture.log(&task_id).await
    }
}

const OURS: &str = "[taskcluster:error] The task used more memory than it may, and the operating system killed a process of it";
const PERHAPS_OURS: &str = "[taskcluster:error] The machine ran out of memory, and the operating system killed a process, most likely of this task";

#[tokio::test]
async fn a_kill_for_memory_that_the_group_counted_is_told_as_the_tasks_own() {
    for end in ["kill -9 $$", "exit 137"] {
        let fixture = Fixture::new().await;
        let machine = Machine::new(&fixture).delegated();
        let script = format!("echo oom_kill 1 > $GROUP/memory.events; {end}");
        let log = machine.run(&fixture, &script).await;
        assert!(log.contains(OURS), "{end}: {log}");
    }
}

#[tokio::test]
async fn a_kill_elsewhere_on_the_machine_is_not_told_to_a_task_whose_group_counted_none() {
    let fixture = Fixture::new().await;
    let machine = Machine::new(&fixture).delegated();
    let script = "echo oom_kill 0 > $GROUP/memory.events; echo oom_kill 4 > $VMSTAT; kill -9 $$";
    let log = machine.run(&fixture, script).await;
    assert!(log.contains("Task ended with signal 9"), "{log}");
    assert!(!log.contains("memory"), "{log}");
}

#[tokio::test]
async fn without_a_group_a_kill_on_the_machine_is_most_likely_the_tasks() {
    let fixture = Fixture::new().await;
    let machine = Machine::new(&fixture);
    let log = machine
        .run(&fixture, "echo oom_kill 4 > $VMSTAT; kill -9 $$")
        .await;
    assert!(log.contains(PERHAPS_OURS), "{log}");
    let left = std::fs::read_dir(&machine.groups)
        .expect("it is there")
        .count();
    assert_eq!(
        left, 0,
        "nothing is made in a folder that is no control group"
    );
}

#[tokio::test]
async fn neither_another_end_nor_another_signal_is_blamed_on_memory() {
    for script in ["kill -9 $$", "echo oom_kill 4 > $VMSTAT; exit 1"] {
        let fixture = Fixture::new().await;
        let log = Machine::new(&fixture).run(&fixture, script).await;
        assert!(!log.contains("ran out of memory"), "{script}: {log}");
    }
}

#[tokio::test]
async fn what_a_group_counted_is_reported_in_place_of_samples() {
    let fixture = Fixture::new().await;
    let machine = Machine::new(&fixture).delegated();
    let script = "echo usage_usec 1500000 > $GROUP/cpu.stat; echo 3145728 > $GROUP/memory.peak";
    let log = machine.run(&fixture, script).await;
    assert!(
        log.contains("Resources: 1.50 s of processor time, 3.0 MiB of memory at the peak"),
        "{log}"
    );
}

#[tokio::test]
#[ignore = "needs a limit of memory, which `cargo xtask e2e oom` sets"]
async fn a_task_that_the_kernel_kills_for_memory_is_told_so() {
    let fixture = Fixture::new().await;
    let running = fixture.start(fixture.worker());
    // A line without an end is kept in memory. The shell stays, since it uses little.
    let task_id = fixture.create(sh("tail /dev/zero; exit $?"));
    let status = fixture.resolved(&task_id).await;
    assert_eq!(state(&status), "failed");
    let log = fixture.log(&task_id).await;
    assert!(log.contains(OURS) || log.contains(PERHAPS_OURS), "{log}");
    let next = fixture.create(sh("true"));
    let status = fixture.resolved(&next).await;
    assert_eq!(state(&status), "completed", "the worker lives");
    running.stop().await;
    fixture.assert_nothing_is_left();
}

/// A real control group of the test, where this user may make one.
struct Delegated(PathBuf);

impl Delegated {
    fn new() -> Option<Self> {
        let mounts = std::fs::read_to_string("/proc/self/mounts").ok()?;
        let mut fields = mounts.lines().map(|line| line.split(' '));
        let root = fields.find_map(|mut line| {
            let folder = line.nth(1)?;
            (line.next()? == "cgroup2").then_some(folder)
        })?;
        let group = Path::new(root).join(format!("runtime-worker-test-{}", std::process::id()));
        std::fs::create_dir(&group).ok()?;
        Some(Self(group))
    }
}

impl Drop for Delegated {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.0);
    }
}

/// The task ends when its stray is `sleep`, and has left whatever the script makes it leave.
async fn ends_stray(engine: ProcessEngine, script: &str) {
    let fixture = Fixture::new().await;
    let left = r#"until [ "$(cat /proc/$!/comm)" = sleep ]; do :; done"#;
    let task_id = fixture.create(sh(&format!("{script} >/dev/null 2>&1 & {left}; echo $!")));
    let running = fixture.start(fixture.worker_with(engine));
    fixture.resolved(&task_id).await;
    running.stop().await;
    let log = fixture.log(&task_id).await;
    let pid = log.lines().find_map(|line| line.parse().ok());
    let pid = pid.expect("the task told the process id");
    assert!(!is_alive(pid), "process {pid} still runs");
}

#[tokio::test]
async fn a_process_that_left_group_and_environment_does_not_leave_its_control_group() {
    let Some(delegated) = Delegated::new() else {
        eprintln!("skipped: this user may make no control group (v2)");
        return;
    };
    let engine = engine().cgroups_below(&delegated.0);
    ends_stray(engine, "env -i setsid sleep 600").await;
    let groups = std::fs::read_dir(&delegated.0).expect("it is there");
    let left = groups
        .flatten()
        .filter(|entry| entry.path().is_dir())
        .count();
    assert_eq!(left, 0, "control groups of tasks");
}

#[tokio::test]
async fn a_process_that_left_the_group_of_its_task_is_found_by_its_environment() {
    ends_stray(engine().without_cgroups(), "setsid sleep 600").await;
}
