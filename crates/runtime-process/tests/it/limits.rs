//! Limits of tasks: settings, payloads, and the ends that they cause. Tests with real limits are skipped where this user
//! may not create control groups that have them.
#![cfg(target_os = "linux")]

use runtime_core::error_chain;
use runtime_mocks::MockMonitor;
use runtime_process::{ProcessConfig, ProcessEngine, TaskIsolation, TaskLimits, TaskNetwork};
use runtime_worker::Engine as _;
use serde_json::{Value, json};

use crate::support::{TestBed, process_engine, sh};

/// Starts 40 processes. The shell fails when it cannot create one.
const FORKS: &str = "for i in $(seq 40); do sleep 5 & done 2>&1";

/// Uses 200 MiB of memory in a child: `tail` buffers a line without end. The code of the command does not show its death.
const ALLOCATION: &str = "head -c 200M /dev/zero | tail >/dev/null; exit 2";

fn limits(settings: Value) -> TaskLimits {
    serde_json::from_value(settings).expect("valid settings")
}

/// Returns whether an engine can start here. The reason is printed otherwise.
async fn can_start(engine: &ProcessEngine, bed: &TestBed) -> bool {
    match engine.prepare(&bed.environment()).await {
        Ok(()) => true,
        Err(error) => {
            println!("skipped: {}", error_chain(&error));
            false
        }
    }
}

/// Returns the error with which an engine refuses to start.
async fn refusal(engine: ProcessEngine, bed: &TestBed) -> String {
    let error = engine.prepare(&bed.environment()).await;
    error_chain(&error.expect_err("its limits are impossible"))
}

/// Runs a task and returns its resolution and its log.
async fn run(engine: ProcessEngine, bed: &TestBed, payload: Value) -> (String, String) {
    let task_id = bed.create(payload);
    let running = bed.start(bed.worker_with(engine));
    let status = bed.resolved(&task_id).await;
    running.stop().await;
    (status.state_and_reason(), bed.log(&task_id).await)
}

fn with(mut payload: Value, field: &str, value: impl Into<Value>) -> Value {
    payload[field] = value.into();
    payload
}

/// Control groups are impossible there.
fn without_groups() -> ProcessEngine {
    process_engine().cgroup_parent("/no/such/group")
}

#[tokio::test]
async fn settings_and_payload_limit_commands() {
    let bed = TestBed::new().await;
    let config = json!({ "limits": { "memory": "1 GiB", "processes": 500, "cpus": 1.5 } });
    let config: ProcessConfig = serde_json::from_value(config).expect("valid settings");
    if !can_start(&config.to_engine(), &bed).await {
        return;
    }
    let script = "group=$(grep -o 'task-[0-9a-f]*' /proc/self/cgroup | head -n 1)
        for file in memory.max memory.limit_in_bytes pids.max cpu.max cpu.cfs_quota_us; do
            find /sys/fs/cgroup -path \"*/$group/$file\" -exec cat {} +
        done";
    let (_, log) = run(config.to_engine(), &bed, sh(script)).await;
    assert!(log.contains("\n1073741824\n500\n150000"), "{log}");
    let payload = json!({ "maxMemory": "64 MiB", "maxProcesses": 100, "maxCpus": 0.5 });
    let payload = with(payload, "command", json!(["sh", "-c", script]));
    let (_, log) = run(config.to_engine(), &bed, payload).await;
    assert!(log.contains("\n67108864\n100\n50000"), "{log}");
}

#[tokio::test]
async fn settings_round_trip() {
    let settings = json!({ "memory": "4 GiB", "processes": 500, "cpus": 2.5, "disk": "9 GiB", "bestEffort": true });
    let limits = limits(settings.clone());
    assert_eq!(limits.memory, Some(4 << 30));
    assert_eq!(
        serde_json::to_value(limits).expect("plain values"),
        settings
    );
    assert_eq!(ProcessConfig::default().limits, TaskLimits::default());
    let unknown = serde_json::from_value::<TaskLimits>(json!({ "ram": "4 GiB" }));
    assert!(unknown.is_err());
}

#[tokio::test]
async fn exceeded_memory_is_explained() {
    for bed in TestBed::each().await {
        let engine = || bed.engine().limits(limits(json!({ "memory": "32 MiB" })));
        if !can_start(&engine(), &bed).await {
            return;
        }
        let own = with(sh(ALLOCATION), "maxMemory", "24 MiB");
        for (payload, limit) in [(sh(ALLOCATION), "32 MiB"), (own, "24 MiB")] {
            let (state, log) = run(engine(), &bed, payload).await;
            assert_eq!(state, "failed", "{log}");
            let expected = "Out of memory: the task exceeded its memory limit";
            assert!(log.contains(expected), "{log}");
            assert!(log.contains(&format!("; the limit is {limit}")), "{log}");
        }
    }
}

#[tokio::test]
async fn exceeded_disk_space_is_explained() {
    // Behind walls too: the folder is the worker's.
    for bed in TestBed::each().await {
        let engine = || bed.engine().limits(limits(json!({ "disk": "8 MiB" })));
        let script = "mkdir a && head -c 12M /dev/zero >a/file; sleep 600";
        let own = with(sh(script), "maxDisk", "5 MiB");
        for (payload, limit) in [(sh(script), "8 MiB"), (own, "5 MiB")] {
            let (state, log) = run(engine(), &bed, payload).await;
            assert_eq!(state, "failed", "{log}");
            let expected = "Out of disk space: the worker ended this task, whose folder uses ";
            assert!(log.contains(expected), "{log}");
            assert!(log.contains(&format!("; the limit is {limit}")), "{log}");
        }
        let script = "head -c 2M /dev/zero >file";
        let (state, log) = run(engine(), &bed, sh(script)).await;
        assert_eq!(state, "completed", "{log}");
    }
}

#[tokio::test]
async fn short_commands_share_disk_space() {
    for bed in TestBed::each().await {
        let commands = [
            "head -c 3M /dev/zero >a",
            "head -c 3M /dev/zero >b",
            "echo goes on",
        ];
        let commands = commands.map(|script| json!(["sh", "-c", script]));
        let payload = json!({ "command": commands, "maxDisk": "5 MiB" });
        let (state, log) = run(bed.engine(), &bed, payload).await;
        assert_eq!(state, "failed", "{log}");
        assert!(log.contains("Out of disk space: "), "{log}");
        assert!(!log.contains("goes on"), "{log}");
    }
}

#[tokio::test]
async fn task_cannot_hide_its_folder() {
    let bed = TestBed::new().await;
    let payload = with(sh("mv \"$PWD\" \"$PWD.x\"; sleep 600"), "maxDisk", "5 MiB");
    let (state, log) = run(bed.engine(), &bed, payload).await;
    assert_eq!(state, "failed", "{log}");
    assert!(log.contains("has a limit and cannot be measured"), "{log}");
}

#[tokio::test]
async fn refused_processes_are_explained() {
    for bed in TestBed::each().await {
        let engine = || bed.engine().limits(limits(json!({ "processes": 20 })));
        if !can_start(&engine(), &bed).await {
            return;
        }
        let own = with(sh(FORKS), "maxProcesses", 12);
        for (payload, limit) in [(sh(FORKS), 20), (own, 12)] {
            let (state, log) = run(engine(), &bed, payload).await;
            assert_eq!(state, "failed", "{log}");
            let expected = format!("No more processes: the limit of {limit} processes");
            assert!(log.contains(&expected), "{log}");
            assert!(!log.contains("memory"), "{log}");
        }
        let caught = format!("({FORKS}) || echo refused");
        let (state, log) = run(engine(), &bed, sh(&caught)).await;
        assert_eq!(state, "completed", "{log}");
        assert!(
            log.contains("\nrefused\n") && !log.contains("No more"),
            "{log}"
        );
    }
}

#[tokio::test]
async fn least_limits_let_commands_run() {
    for bed in TestBed::each().await {
        let least = json!({ "memory": "16 MiB", "processes": 1, "cpus": 0.01 });
        let engine = bed.engine().limits(limits(least));
        if !can_start(&engine, &bed).await {
            return;
        }
        let (state, log) = run(engine, &bed, sh("echo runs")).await;
        assert_eq!(state, "completed", "{log}");
        // The program that connects the network is in the group of the command.
        let least = json!({ "memory": "16 MiB", "processes": 1, "cpus": 0.1 });
        let engine = bed.engine().network(TaskNetwork::Outbound);
        let engine = engine.limits(limits(least));
        if bed.isolation != TaskIsolation::None && can_start(&engine, &bed).await {
            let (state, log) = run(engine, &bed, sh("echo runs")).await;
            assert_eq!(state, "completed", "{log}");
        }
    }
}

#[tokio::test]
async fn more_than_the_settings_is_malformed() {
    let bed = TestBed::new().await;
    let settings = json!({ "memory": "1 GiB", "processes": 500, "cpus": 1.5, "bestEffort": true });
    let payload = json!({ "maxMemory": "2 GiB", "maxProcesses": 501, "maxCpus": 2 });
    let payload = with(payload, "command", json!(["true"]));
    let engine = process_engine().limits(limits(settings));
    let (state, log) = run(engine, &bed, payload).await;
    assert_eq!(state, "exception/malformed-payload", "{log}");
    for message in [
        "`maxMemory` is 2 GiB, and this worker permits at most 1 GiB",
        "`maxProcesses` is 501, and this worker permits at most 500",
        "`maxCpus` is 2, and this worker permits at most 1.5",
    ] {
        assert!(log.contains(message), "{log}");
    }
}

#[tokio::test]
async fn values_out_of_range_are_malformed() {
    let bed = TestBed::new().await;
    for (field, value) in [
        ("maxMemory", json!("1 MiB")),
        ("maxMemory", json!(67_108_864)),
        ("maxMemory", json!("much")),
        ("maxProcesses", json!(0)),
        ("maxProcesses", json!(u64::MAX)),
        ("maxCpus", json!(0)),
        ("maxCpus", json!(1e300)),
        ("maxDisk", json!("1 KiB")),
    ] {
        let payload = with(sh("true"), field, value.clone());
        let (state, log) = run(process_engine(), &bed, payload).await;
        assert_eq!(state, "exception/malformed-payload", "{value}: {log}");
        assert!(log.contains(field), "{value}: {log}");
    }
}

#[tokio::test]
async fn invalid_settings_are_errors_at_start() {
    let bed = TestBed::new().await;
    for (settings, name) in [
        (json!({ "memory": "1 MiB" }), "limits.memory"),
        (json!({ "processes": 0 }), "limits.processes"),
        (json!({ "cpus": -1 }), "limits.cpus"),
        (json!({ "disk": "1 KiB" }), "limits.disk"),
    ] {
        let error = refusal(process_engine().limits(limits(settings)), &bed).await;
        assert!(
            error.contains(name) && error.contains("expected"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn impossible_settings_name_the_remedy() {
    let bed = TestBed::new().await;
    for (settings, name) in [
        (json!({ "memory": "1 GiB" }), "`limits.memory`"),
        (json!({ "processes": 500 }), "`limits.processes`"),
        (json!({ "cpus": 1 }), "`limits.cpus`"),
    ] {
        let limits = limits(settings);
        let error = refusal(without_groups().limits(limits), &bed).await;
        for part in [name, "cgroupParent", "bestEffort: true"] {
            assert!(error.contains(part), "{error}");
        }
        let error = refusal(process_engine().without_cgroups().limits(limits), &bed).await;
        assert!(error.contains("the setting `cgroups`"), "{error}");
        let check = without_groups().limits(limits).containment().await;
        assert!(check.iter().any(|line| line.contains(name)), "{check:?}");
    }
}

#[tokio::test]
async fn best_effort_is_logged() {
    let bed = TestBed::new().await;
    let mut environment = bed.environment();
    let (monitor, log) = MockMonitor::new();
    environment.monitor = monitor;
    let engine =
        || without_groups().limits(limits(json!({ "memory": "1 GiB", "bestEffort": true })));
    engine().prepare(&environment).await.expect("best effort");
    let missing = |line: &str| line.contains("without the limit of memory");
    assert!(log.lines().iter().any(|line| missing(&line.message)));
    let (state, log) = run(engine(), &bed, sh("true")).await;
    assert_eq!(state, "completed", "{log}");
    assert!(missing(&log), "{log}");
}

#[tokio::test]
async fn impossible_limit_of_payload_is_malformed() {
    let bed = TestBed::new().await;
    for (field, value) in [
        ("maxMemory", json!("1 GiB")),
        ("maxProcesses", json!(500)),
        ("maxCpus", json!(1)),
    ] {
        let payload = with(sh("true"), field, value);
        let (state, log) = run(without_groups(), &bed, payload).await;
        assert_eq!(state, "exception/malformed-payload", "{log}");
        let expected = format!("cannot have the limit `{field}`: remove it");
        assert!(log.contains(&expected), "{log}");
    }
}

#[test]
fn limits_are_documented() {
    let engine = process_engine().limits(limits(json!({ "memory": "4 GiB", "cpus": 2 })));
    let sections = engine.documentation();
    let section = sections.iter().find(|section| section.title == "Limits");
    let text = &section.expect("there is a section").content;
    assert!(text.contains("4 GiB of memory, 2 CPUs"), "{text}");
    let schema = engine.payload_schema();
    for field in ["maxMemory", "maxProcesses", "maxCpus", "maxDisk"] {
        assert!(text.contains(field), "{text}");
        assert!(schema["properties"][field].is_object(), "{schema}");
    }
}
