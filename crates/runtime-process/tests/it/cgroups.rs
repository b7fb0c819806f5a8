//! Control groups. The tests use real ones if this user may create them, and folders that look like them to
//! simulate a machine that runs out of memory.
#![cfg(target_os = "linux")]

use std::path::{Path, PathBuf};

use runtime_mocks::MockMonitor;
use runtime_process::ProcessEngine;
use runtime_worker::Engine as _;
use runtime_worker::plugins::ResourceUsage;
use serde_json::json;

use crate::support::{TestBed, is_alive, process_engine, sh, wait_until};

/// A simulated machine.
struct Machine {
    /// The parent of control groups.
    groups: PathBuf,
    /// The file with the count of OOM kills.
    vmstat: PathBuf,
}

impl Machine {
    fn new(bed: &TestBed) -> Self {
        let machine = Self {
            groups: bed.marker("groups"),
            vmstat: bed.marker("vmstat"),
        };
        std::fs::create_dir(&machine.groups).expect("a folder of the test");
        std::fs::write(&machine.vmstat, "oom_kill 3\n").expect("a file of the test");
        machine
    }

    /// Permits the creation of groups.
    fn delegated(self) -> Self {
        std::fs::write(self.groups.join("cgroup.procs"), "").expect("a file of the test");
        self
    }

    /// Runs a script with its group in `$GROUP` and the count of OOM kills in `$VMSTAT`. Returns the log.
    async fn run(&self, bed: &TestBed, script: &str) -> String {
        // The engine has tried out another group before.
        let script = format!("GROUP=$(ls -td \"$GROUPS_OF_TEST\"/task-* | head -n 1); {script}");
        let task_id = bed.create(json!({
            "command": ["sh", "-c", script],
            "env": { "GROUPS_OF_TEST": self.groups, "VMSTAT": self.vmstat },
        }));
        let engine = process_engine()
            .cgroup_parent(&self.groups)
            .vmstat(&self.vmstat);
        let worker = bed.worker_with(engine).plugin(ResourceUsage::new());
        let running = bed.start(worker);
        bed.resolved(&task_id).await;
        running.stop().await;
        bed.log(&task_id).await
    }
}

const OOM_IN_TASK: &str =
    "[taskcluster:error] Out of memory: the task exceeded its memory limit, and the kernel killed";
const OOM_ON_MACHINE: &str =
    "[taskcluster:error] Out of memory: the machine ran out of memory, and the kernel killed";

#[tokio::test]
async fn oom_kill_in_group_is_explained() {
    for end in ["kill -9 $$", "exit 137", "exit 2"] {
        let bed = TestBed::new().await;
        let machine = Machine::new(&bed).delegated();
        let script = format!("echo oom_kill 1 > $GROUP/memory.events; {end}");
        let log = machine.run(&bed, &script).await;
        assert!(log.contains(OOM_IN_TASK), "{end}: {log}");
    }
}

#[tokio::test]
async fn oom_kill_outside_group_is_not_mentioned() {
    let bed = TestBed::new().await;
    let machine = Machine::new(&bed).delegated();
    let script = "echo oom_kill 0 > $GROUP/memory.events; echo oom_kill 4 > $VMSTAT; kill -9 $$";
    let log = machine.run(&bed, script).await;
    assert!(log.contains("Task ended with signal 9"), "{log}");
    assert!(!log.contains("memory"), "{log}");
}

#[tokio::test]
async fn oom_kill_without_group_is_attributed_to_machine() {
    let bed = TestBed::new().await;
    let machine = Machine::new(&bed);
    let log = machine
        .run(&bed, "echo oom_kill 4 > $VMSTAT; kill -9 $$")
        .await;
    assert!(log.contains(OOM_ON_MACHINE), "{log}");
    let created = std::fs::read_dir(&machine.groups).expect("the folder exists");
    assert_eq!(created.count(), 0, "groups in an ordinary folder");
}

#[tokio::test]
async fn groups_of_dead_workers_are_killed() {
    let bed = TestBed::new().await;
    let machine = Machine::new(&bed).delegated();
    let [dead, live, foreign] = [
        "task-0000000000000007",
        "task-0000000000000008",
        "task-queue",
    ]
    .map(|name| {
        let group = machine.groups.join(name);
        std::fs::create_dir(&group).expect("a folder of the test");
        std::fs::write(group.join("cgroup.kill"), "").expect("a file of the test");
        group
    });
    // As the worker of the group does.
    let lock = std::fs::File::open(&live).expect("the folder exists");
    lock.lock().expect("nothing else locks it");
    machine.run(&bed, "true").await;
    let is_killed = |group: &Path| {
        std::fs::read(group.join("cgroup.kill")).is_ok_and(|written| written == b"1")
    };
    assert!(is_killed(&dead));
    assert!(!is_killed(&live) && !is_killed(&foreign));
}

/// Prepares an engine and returns the lines that it logs about its containment, each with its level.
pub(crate) async fn reports_of(engine: ProcessEngine, bed: &TestBed) -> Vec<String> {
    let mut environment = bed.environment();
    let (monitor, log) = MockMonitor::new();
    environment.monitor = monitor;
    let prepared = engine.prepare(&environment).await;
    prepared.expect("it needs no control groups");
    // A second time, as before each task: it is said once.
    engine.prepare(&environment).await.expect("it is prepared");
    let lines = log.lines().into_iter();
    let lines = lines.filter(|line| line.message.contains("containment of tasks"));
    lines
        .map(|line| format!("{}: {}", line.level, line.message))
        .collect()
}

#[tokio::test]
async fn containment_is_reported_once_at_start() {
    let bed = TestBed::new().await;
    let machine = Machine::new(&bed);
    let group = machine.groups.display();
    let unusable = reports_of(process_engine().cgroup_parent(&machine.groups), &bed).await;
    let [line] = &unusable[..] else {
        panic!("{unusable:?}");
    };
    assert!(
        line.contains("WARN") && line.contains("no control groups"),
        "{line}"
    );
    assert!(
        line.contains(&format!("`{group}` cannot be used: No such file")),
        "{line}"
    );
    assert!(line.contains("may outlive its task"), "{line}");

    let disabled = reports_of(process_engine().without_cgroups(), &bed).await;
    assert!(
        disabled[0].contains("INFO") && disabled[0].contains("disabled"),
        "{disabled:?}"
    );

    let machine = machine.delegated();
    let usable = reports_of(process_engine().cgroup_parent(&machine.groups), &bed).await;
    assert!(
        usable[0].contains("INFO") && usable[0].contains("control groups end"),
        "{usable:?}"
    );
}

#[tokio::test]
async fn processes_of_dead_workers_are_killed() {
    let Some(delegated) = Delegated::new() else {
        eprintln!("skipped: this user may not create control groups (v2)");
        return;
    };
    let bed = TestBed::new().await;
    let group = delegated.0.join("task-0000000000000007");
    let inner = group.join("inner");
    std::fs::create_dir_all(&inner).expect("this user may create groups");
    let mut sleeper = std::process::Command::new("sleep")
        .arg("600")
        .spawn()
        .expect("`sleep` exists");
    std::fs::write(inner.join("cgroup.procs"), sleeper.id().to_string()).expect("it may be moved");
    let task_id = bed.create(sh("true"));
    let running = bed.start(bed.worker_with(process_engine().cgroup_parent(&delegated.0)));
    bed.resolved(&task_id).await;
    running.stop().await;
    assert!(!sleeper.wait().expect("it is a child").success());
    assert!(!group.exists());
}

#[tokio::test]
async fn other_deaths_are_not_blamed_on_memory() {
    for script in ["kill -9 $$", "echo oom_kill 4 > $VMSTAT; exit 1"] {
        let bed = TestBed::new().await;
        let log = Machine::new(&bed).run(&bed, script).await;
        assert!(!log.contains("ran out of memory"), "{script}: {log}");
    }
}

#[tokio::test]
async fn group_counters_replace_samples() {
    let bed = TestBed::new().await;
    let machine = Machine::new(&bed).delegated();
    let script = "echo usage_usec 1500000 > $GROUP/cpu.stat; echo 3145728 > $GROUP/memory.peak";
    let log = machine.run(&bed, script).await;
    assert!(
        log.contains("Resources: 1.50 s CPU time, 3.0 MiB peak memory"),
        "{log}"
    );
}

#[tokio::test]
#[ignore = "needs a memory limit, which `cargo xtask e2e oom` sets"]
async fn real_oom_kill_is_explained() {
    let bed = TestBed::new().await;
    let running = bed.start(bed.worker());
    // `tail` buffers a line without end. The shell survives, since it uses little memory.
    let task_id = bed.create(sh("tail /dev/zero; exit $?"));
    let status = bed.resolved(&task_id).await;
    assert_eq!(status.state_and_reason(), "failed");
    let log = bed.log(&task_id).await;
    assert!(
        log.contains(OOM_IN_TASK) || log.contains(OOM_ON_MACHINE),
        "{log}"
    );
    let next = bed.create(sh("true"));
    let status = bed.resolved(&next).await;
    assert_eq!(
        status.state_and_reason(),
        "completed",
        "the worker survives"
    );
    running.stop().await;
    bed.assert_no_leftovers();
}

#[tokio::test]
async fn exceeded_memory_limit_is_explained() {
    let Some(limited) = Delegated::with_memory_limit() else {
        eprintln!("skipped: this user may not create control groups that limit memory");
        return;
    };
    for bed in TestBed::each().await {
        // `tail` buffers a line without end. The shell survives, since it uses little memory.
        let task_id = bed.create(sh("tail /dev/zero; exit $?"));
        let running = bed.start(bed.worker_with(bed.engine().cgroup_parent(&limited.0)));
        let status = bed.resolved(&task_id).await;
        running.stop().await;
        let log = bed.log(&task_id).await;
        assert_eq!(status.state_and_reason(), "failed", "{log}");
        assert!(log.contains(OOM_IN_TASK), "{log}");
    }
}

/// A real control group, if this user may create one.
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

impl Delegated {
    /// A group of 64 MiB, of version 1 or 2.
    fn with_memory_limit() -> Option<Self> {
        let name = format!("runtime-worker-memory-{}", std::process::id());
        let places = [
            ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            ("/sys/fs/cgroup", "memory.max"),
        ];
        places.into_iter().find_map(|(parent, file)| {
            std::fs::metadata(Path::new(parent).join("cgroup.procs")).ok()?;
            let group = Path::new(parent).join(&name);
            std::fs::create_dir(&group).ok()?;
            let group = Self(group);
            let file = group.0.join(file);
            // A write would create an ordinary file elsewhere.
            std::fs::metadata(&file).ok()?;
            std::fs::write(file, "67108864").ok()?;
            Some(group)
        })
    }
}

impl Drop for Delegated {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.0);
    }
}

/// Asserts that the background process of a script is killed. The task waits until it executes `sleep`, and so has
/// left the groups that the script makes it leave.
async fn assert_orphan_is_killed(engine: ProcessEngine, script: &str) {
    let bed = TestBed::new().await;
    let executed = r#"until [ "$(cat /proc/$!/comm)" = sleep ]; do :; done"#;
    let task_id = bed.create(sh(&format!(
        "{script} >/dev/null 2>&1 & {executed}; echo $!"
    )));
    let running = bed.start(bed.worker_with(engine));
    bed.resolved(&task_id).await;
    running.stop().await;
    let log = bed.log(&task_id).await;
    let pid = log.lines().find_map(|line| line.parse().ok());
    let pid = pid.expect("the task logged a process id");
    // The kernel ends a killed process when it gets a CPU, which may be later than the report.
    wait_until(|| !is_alive(pid)).await;
}

#[tokio::test]
async fn cgroup_kills_process_without_marker() {
    let Some(delegated) = Delegated::new() else {
        eprintln!("skipped: this user may not create control groups (v2)");
        return;
    };
    let engine = process_engine().cgroup_parent(&delegated.0);
    assert_orphan_is_killed(engine, "env -i setsid sleep 600").await;
    let entries = std::fs::read_dir(&delegated.0).expect("the group exists");
    let groups = entries.flatten().filter(|entry| entry.path().is_dir());
    assert_eq!(groups.count(), 0, "control groups of tasks");
}

#[tokio::test]
async fn marker_finds_process_outside_group() {
    assert_orphan_is_killed(process_engine().without_cgroups(), "setsid sleep 600").await;
}
