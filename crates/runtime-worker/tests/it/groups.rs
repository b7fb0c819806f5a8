//! Control groups: real ones where this user may make some, and folders that look like them for what only a
//! machine that runs out of memory does.
#![cfg(target_os = "linux")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use runtime_worker::ProcessEngine;
use runtime_worker::plugins::ResourceUsage;
use serde_json::json;

use crate::support::{Bench, is_alive, process_engine, sh, state};

/// A folder in which control groups seem to be made, and a count of what the machine killed.
struct Machine {
    groups: PathBuf,
    vmstat: PathBuf,
}

impl Machine {
    fn new(bench: &Bench) -> Self {
        let machine = Self {
            groups: bench.mark("groups"),
            vmstat: bench.mark("vmstat"),
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
    async fn run(&self, bench: &Bench, script: &str) -> String {
        let script = format!("GROUP=$(echo \"$GROUPS_OF_TEST\"/task-*); {script}");
        let task_id = bench.create(json!({
            "command": ["sh", "-c", script],
            "env": { "GROUPS_OF_TEST": self.groups, "VMSTAT": self.vmstat },
        }));
        let engine = process_engine()
            .cgroups_below(&self.groups)
            .vmstat(&self.vmstat);
        let worker = bench
            .worker_number(0, Arc::new(engine))
            .plugin(ResourceUsage);
        let running = bench.start(worker);
        bench.resolved(&task_id).await;
        running.stop().await;
        bench.log(&task_id).await
    }
}

const OURS: &str = "[taskcluster:error] The task used more memory than it may, and the operating system killed a process of it";
const PERHAPS_OURS: &str = "[taskcluster:error] The machine ran out of memory, and the operating system killed a process, most likely of this task";

#[tokio::test]
async fn a_kill_for_memory_that_the_group_counted_is_told_as_the_tasks_own() {
    for end in ["kill -9 $$", "exit 137"] {
        let bench = Bench::new().await;
        let machine = Machine::new(&bench).delegated();
        let script = format!("echo oom_kill 1 > $GROUP/memory.events; {end}");
        let log = machine.run(&bench, &script).await;
        assert!(log.contains(OURS), "{end}: {log}");
    }
}

#[tokio::test]
async fn a_kill_elsewhere_on_the_machine_is_not_told_to_a_task_whose_group_counted_none() {
    let bench = Bench::new().await;
    let machine = Machine::new(&bench).delegated();
    let script = "echo oom_kill 0 > $GROUP/memory.events; echo oom_kill 4 > $VMSTAT; kill -9 $$";
    let log = machine.run(&bench, script).await;
    assert!(log.contains("Task ended with signal 9"), "{log}");
    assert!(!log.contains("memory"), "{log}");
}

#[tokio::test]
async fn without_a_group_a_kill_on_the_machine_is_most_likely_the_tasks() {
    let bench = Bench::new().await;
    let machine = Machine::new(&bench);
    let log = machine
        .run(&bench, "echo oom_kill 4 > $VMSTAT; kill -9 $$")
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
        let bench = Bench::new().await;
        let log = Machine::new(&bench).run(&bench, script).await;
        assert!(!log.contains("ran out of memory"), "{script}: {log}");
    }
}

#[tokio::test]
async fn what_a_group_counted_is_reported_in_place_of_samples() {
    let bench = Bench::new().await;
    let machine = Machine::new(&bench).delegated();
    let script = "echo usage_usec 1500000 > $GROUP/cpu.stat; echo 3145728 > $GROUP/memory.peak";
    let log = machine.run(&bench, script).await;
    assert!(
        log.contains("Resources: 1.50 s of processor time, 3.0 MiB of memory at the peak"),
        "{log}"
    );
}

#[tokio::test]
#[ignore = "needs a limit of memory, which `cargo xtask e2e oom` sets"]
async fn a_task_that_the_kernel_kills_for_memory_is_told_so() {
    let bench = Bench::new().await;
    let running = bench.start(bench.worker());
    // A line without an end is kept in memory. The shell stays, since it uses little.
    let task_id = bench.create(sh("tail /dev/zero; exit $?"));
    let status = bench.resolved(&task_id).await;
    assert_eq!(state(&status), "failed");
    let log = bench.log(&task_id).await;
    assert!(log.contains(OURS) || log.contains(PERHAPS_OURS), "{log}");
    let next = bench.create(sh("true"));
    let status = bench.resolved(&next).await;
    assert_eq!(state(&status), "completed", "the worker lives");
    running.stop().await;
    bench.assert_nothing_is_left();
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
    let bench = Bench::new().await;
    let left = r#"until [ "$(cat /proc/$!/comm)" = sleep ]; do :; done"#;
    let task_id = bench.create(sh(&format!("{script} >/dev/null 2>&1 & {left}; echo $!")));
    let running = bench.start(bench.worker_number(0, Arc::new(engine)));
    bench.resolved(&task_id).await;
    running.stop().await;
    let log = bench.log(&task_id).await;
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
    let engine = process_engine().cgroups_below(&delegated.0);
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
    ends_stray(process_engine().without_cgroups(), "setsid sleep 600").await;
}
