//! The end of the largest task when the memory of a simulated machine is low, and the usage of commands over time.
#![cfg(target_os = "linux")]

use std::fs;
use std::path::Path;
use std::time::Duration;

use runtime_mocks::MockMonitor;
use runtime_process::{HighMemoryPolicy, ProcessConfig, ProcessEngine, TaskIsolation};
use runtime_worker::Engine as _;
use runtime_worker::plugins::ResourceUsage;
use serde_json::{Value, json};

use crate::support::{TestBed, sh};

const MIB: u64 = 1 << 20;

/// Uses 60 MiB of memory in a shell until it is killed.
const LARGE: &str =
    "text=$(head -c 60M /dev/zero | tr '\\0' a); echo > full; sleep 600; echo $text | wc";

const ARTIFACT: &str = "public/resource-usage.json";

/// Sets the available memory of a simulated machine with 4 GiB.
fn set_available(meminfo: &Path, bytes: u64) {
    let available = bytes / 1024;
    let text = format!("MemTotal: 4194304 kB\nMemAvailable: {available} kB\n");
    fs::write(meminfo, text).expect("a file of the test");
}

fn settings() -> HighMemoryPolicy {
    let mut settings = HighMemoryPolicy::default();
    settings.min_available = 200 * MIB;
    settings.duration = Duration::from_secs(1);
    settings
}

/// Runs a large and a small task. Checks that only the large one ends, with an explanation, and returns its artifact.
async fn end_of_large_task(bed: &TestBed, engine: ProcessEngine, script: &str) -> Value {
    let meminfo = bed.marker("meminfo");
    set_available(&meminfo, 3000 * MIB);
    let go = bed.marker("go");
    let wait = format!(
        "echo > small; until [ -e {} ]; do sleep 0.1; done",
        go.display()
    );
    let small = bed.create(sh(&wait));
    let large = bed.create(sh(script));
    let engine = engine.abort_on_high_memory(settings()).meminfo(&meminfo);
    let usage = ResourceUsage::new().artifact(ARTIFACT);
    let running = bed.start(bed.worker_with(engine).capacity(2).plugin(usage));
    for file in ["small", "full"] {
        bed.wait_for_task_file(file).await;
    }
    set_available(&meminfo, MIB);
    let status = bed.resolved(&large).await;
    set_available(&meminfo, 3000 * MIB);
    fs::write(&go, "").expect("a file of the test");
    let small_status = bed.resolved(&small).await;
    running.stop().await;
    let log = bed.log(&large).await;
    assert_eq!(status.state_and_reason(), "failed", "{log}");
    for part in [
        "[taskcluster:error] Out of memory: the worker ended this task",
        "Less than 200 MiB, with more than 90% in use, are permitted for 1 s",
        " before), ",
    ] {
        assert!(log.contains(part), "{part}: {log}");
    }
    let log = bed.log(&small).await;
    assert_eq!(small_status.state_and_reason(), "completed", "{log}");
    assert!(!log.contains("memory: "), "{log}");
    bed.assert_no_leftovers();
    fs::remove_file(&go).expect("it was created");
    let artifact = bed.text(&large, ARTIFACT).await;
    serde_json::from_str(&artifact).expect("a document")
}

#[tokio::test]
async fn largest_task_ends_when_memory_is_low() {
    for bed in TestBed::each().await {
        for engine in [bed.engine(), bed.engine().without_cgroups()] {
            let usage = end_of_large_task(&bed, engine, LARGE).await;
            let command = command_in(&usage);
            assert!(most_memory(command) > Some(60 * MIB), "{usage}");
            let samples = command["samples"].as_array().expect("a list");
            assert!(samples.iter().all(|it| it["seconds"].is_f64()), "{usage}");
            assert!(command["cpuSeconds"].is_f64(), "{usage}");
        }
    }
}

/// Returns the only command of a document.
fn command_in(usage: &Value) -> &Value {
    let [command] = &usage["commands"].as_array().expect("a list")[..] else {
        panic!("{usage}");
    };
    command
}

fn most_memory(command: &Value) -> Option<u64> {
    let samples = command["samples"].as_array().expect("a list");
    let memory = samples.iter().filter_map(|it| it["memoryBytes"].as_u64());
    memory.max()
}

#[tokio::test]
async fn private_files_in_memory_count_without_groups() {
    let script = "for folder in /tmp /dev/shm; do head -c 30M /dev/zero >$folder/file; done; echo > full; sleep 600";
    for isolation in [TaskIsolation::User, TaskIsolation::Strict] {
        let Some(bed) = TestBed::isolated(isolation).await else {
            continue;
        };
        let engine = bed.engine().without_cgroups();
        let usage = end_of_large_task(&bed, engine, script).await;
        let memory = most_memory(command_in(&usage));
        assert!(memory > Some(60 * MIB), "{usage}");
        assert!(memory < Some(100 * MIB), "{usage}");
    }
}

#[tokio::test]
async fn unreadable_memory_is_reported() {
    let bed = TestBed::new().await;
    let mut environment = bed.environment();
    let (monitor, log) = MockMonitor::new();
    environment.monitor = monitor;
    let engine = bed.engine().meminfo("/no/such/file");
    engine.prepare(&environment).await.expect("it is optional");
    let lines = log.lines();
    let reported = lines.iter().any(|it| it.message.contains("/no/such/file"));
    assert!(reported, "{lines:?}");
}

#[test]
fn settings_of_high_memory_round_trip() {
    let text = json!({ "maxUsedPercent": 80, "minAvailable": "1 GiB", "duration": "2 s" });
    let config = json!({ "abortOnHighMemory": text });
    let config: ProcessConfig = serde_json::from_value(config).expect("valid settings");
    let settings = config.abort_on_high_memory;
    assert_eq!(settings.max_used_percent, 80);
    assert_eq!(settings.min_available, 1024 * MIB);
    let again = serde_json::to_value(settings).expect("plain values");
    assert_eq!(again, text);
    let default = ProcessConfig::default().abort_on_high_memory;
    assert_eq!(default, HighMemoryPolicy::default());
}
