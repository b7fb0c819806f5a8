//! A small disk that tasks fill: the worker frees caches, pauses its claims, and no task dies of it.
//!
//! The disk is a figure: what is left of it is a size less what the files in the worker's folder take.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use runtime_core::Monitor;
use runtime_gc::{
    Amount, Disk, GarbageCollector, GcConfig, HostStats, Stat, Stats, SystemStats, Threshold,
};
use runtime_mocks::MockMonitor;
use runtime_mocks::taskcluster::TaskState;
use runtime_worker::admission::CollectorAdmission;
use runtime_worker::gc_metrics::record_gc_metrics;
use runtime_worker::{Timing, WorkerBuilder};
use serde_json::{Value, json};

use crate::support::{Bench, state, until};

const KIB: u64 = 1024;

#[derive(Clone, Debug)]
struct SmallDisk {
    folder: PathBuf,
    looks: Arc<AtomicUsize>,
}

impl SmallDisk {
    const SIZE: u64 = 1000 * KIB;

    fn used(&self) -> u64 {
        size(&self.folder)
    }

    fn looks(&self) -> usize {
        self.looks.load(Ordering::SeqCst)
    }
}

impl SystemStats for SmallDisk {
    fn read(&self) -> Stats {
        self.looks.fetch_add(1, Ordering::SeqCst);
        let free = Self::SIZE.saturating_sub(self.used());
        Stats::new(Stat::Known(Disk::new(Self::SIZE, free)), Stat::Absent)
    }
}

/// The bytes of all files below a folder. What vanishes meanwhile has none.
fn size(path: &Path) -> u64 {
    let Ok(metadata) = std::fs::symlink_metadata(path) else {
        return 0;
    };
    if !metadata.is_dir() {
        return metadata.len();
    }
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    entries.map(|entry| size(&entry.path())).sum()
}

async fn worker(bench: &Bench) -> (SmallDisk, WorkerBuilder) {
    let disk = SmallDisk {
        folder: bench.folder.path().to_owned(),
        looks: Arc::default(),
    };
    let worker = worker_on(bench, disk.clone(), 400, &Monitor::null()).await;
    (disk, worker)
}

/// A worker that keeps so many KiB free, and comes to rest at 100 more.
async fn worker_on(
    bench: &Bench,
    disk: impl SystemStats,
    floor: u64,
    monitor: &Monitor,
) -> WorkerBuilder {
    let mut config = GcConfig::default();
    let rest = Amount::Absolute((floor + 100) * KIB);
    config.limits.min_free_disk = Some(Threshold::at(Amount::Absolute(floor * KIB)).target(rest));
    let collector = GarbageCollector::with_listener(config, disk, record_gc_metrics(monitor));
    let mut timing = Timing::default();
    timing.claim_pause = Duration::from_millis(20);
    let worker = bench.worker_with_mounts_on(collector.tracker()).await;
    let admission = CollectorAdmission::new(collector);
    worker.timing(timing).admission(Arc::new(admission))
}

fn fill_cache(name: &str) -> Value {
    json!({
        "command": ["sh", "-c", "head -c 200k /dev/zero > cache/data"],
        "mounts": [{ "cacheName": name, "directory": "cache" }],
    })
}

#[tokio::test]
async fn caches_that_nobody_uses_make_room_for_the_next_task() {
    let bench = Bench::new().await;
    let disk = SmallDisk {
        folder: bench.folder.path().to_owned(),
        looks: Arc::default(),
    };
    let (monitor, told) = MockMonitor::new();
    let worker = worker_on(&bench, disk.clone(), 400, &monitor).await;
    let running = bench.start(worker.capacity(1));
    for name in ["a", "b", "c", "d", "e", "f", "g"] {
        let task_id = bench.create(fill_cache(name));
        assert_eq!(state(&bench.resolved(&task_id).await), "completed");
        assert!(disk.used() <= 820 * KIB, "{}", disk.used());
    }
    running.stop().await;
    let freed = told.counter("gc.freed");
    assert!(freed >= 4, "{freed}");
    assert!(told.counter("gc.freed-disk") >= freed * 200 * KIB);
    assert_eq!(told.counter("gc.failed"), 0);
    assert_eq!(told.counter("gc.slow"), 0);
    assert!(!told.values("gc.duration").is_empty());
    assert!(told.values("gc.quarantined").iter().all(|it| *it == 0.0));
}

#[tokio::test]
async fn a_cache_that_nobody_uses_makes_room_for_the_copy_of_an_input() {
    let bench = Bench::new().await;
    let (disk, worker) = worker(&bench).await;
    let running = bench.start(worker);
    let cached = bench.create(json!({
        "command": ["sh", "-c", "head -c 250k /dev/zero > cache/data"],
        "mounts": [{ "cacheName": "idle", "directory": "cache" }],
    }));
    assert_eq!(state(&bench.resolved(&cached).await), "completed");
    let maker = bench.create(json!({
        "command": ["sh", "-c", "head -c 200k /dev/urandom > input"],
        "artifacts": [{ "name": "public/input", "type": "file", "path": "input" }],
    }));
    assert_eq!(state(&bench.resolved(&maker).await), "completed");

    let (started, go_on) = (bench.mark("started"), bench.mark("go-on"));
    let script = format!(
        "echo > {}; until [ -e {} ]; do sleep 0.05; done",
        started.display(),
        go_on.display()
    );
    let user = bench.create_with(json!({
        "dependencies": [maker],
        "payload": {
            "command": ["sh", "-c", script],
            "mounts": [{ "content": { "taskId": maker, "artifact": "public/input" }, "file": "input" }],
        },
    }));
    bench.file_appears(&started).await;
    // The input, its copy and the cache would leave less than the floor.
    assert!(disk.used() <= 600 * KIB, "{}", disk.used());
    std::fs::write(&go_on, "").expect("the test can write");
    assert_eq!(state(&bench.resolved(&user).await), "completed");
    running.stop().await;
}

#[tokio::test]
async fn a_disk_that_a_task_fills_pauses_claims_until_the_task_ends() {
    let bench = Bench::new().await;
    let (disk, worker) = worker(&bench).await;
    let (full, go_on) = (bench.mark("full"), bench.mark("go-on"));
    let script = format!(
        "head -c 900k /dev/zero > data; echo full > {}; while [ ! -e {} ]; do sleep 0.05; done",
        full.display(),
        go_on.display()
    );
    let filling = bench.create(json!({ "command": ["sh", "-c", script], "maxRunTime": 600 }));
    let running = bench.start(worker);
    bench.file_appears(&full).await;
    // A claim that was under way when the disk became full may still be answered, so wait for a look at it.
    let looks = disk.looks();
    until(|| disk.looks() >= looks + 2).await;

    let waiting = bench.create(json!({ "command": ["true"] }));
    let looks = disk.looks();
    until(|| disk.looks() >= looks + 3).await;
    let status = bench.taskcluster.status(&waiting).expect("the task exists");
    assert_eq!(status.state, TaskState::Pending, "there is no room for it");
    std::fs::write(&go_on, "\n").expect("the test can write");
    assert_eq!(
        state(&bench.resolved(&filling).await),
        "completed",
        "the disk is no fault of its own"
    );
    assert_eq!(state(&bench.resolved(&waiting).await), "completed");
    running.stop().await;
}

/// Where `cargo xtask e2e full-disk` has mounted a disk of 4 MiB.
const SMALL_DISK: &str = "RUNTIME_WORKER_SMALL_DISK";

#[tokio::test]
#[ignore = "needs a small disk, which `cargo xtask e2e full-disk` mounts"]
async fn a_real_disk_that_tasks_fill_costs_no_task_its_life() {
    let disk = PathBuf::from(std::env::var_os(SMALL_DISK).expect("a small disk is mounted"));
    let bench = Bench::below(&disk).await;
    let pressure = HostStats::new(&disk);
    let worker = worker_on(&bench, pressure, 1000, &Monitor::null()).await;
    // One that claims whether or not there is room. It cannot open its caches once there is none.
    let settings = bench.settings().in_folder(disk.join("heedless"));
    let mounts = settings.mounts().open(bench.collector.tracker()).await;
    let heedless = settings.worker().plugin(mounts.expect("there is room"));
    let running = bench.start(worker);
    for name in ["a", "b", "c", "d", "e", "f", "g"] {
        let fill = json!({
            "command": ["sh", "-c", "head -c 700k /dev/zero > cache/data"],
            "mounts": [{ "cacheName": name, "directory": "cache" }],
        });
        let task_id = bench.create(fill);
        let status = bench.resolved(&task_id).await;
        assert_eq!(state(&status), "completed", "{}", bench.log(&task_id).await);
    }

    let (full, go_on) = (bench.mark("full"), bench.mark("go-on"));
    let script = format!(
        "until [ -e {} ]; do cat /dev/zero >> data 2>/dev/null; echo > {}; sleep 0.05; done; rm data",
        go_on.display(),
        full.display()
    );
    let filling = bench.create(json!({ "command": ["sh", "-c", script], "maxRunTime": 600 }));
    bench.file_appears(&full).await;
    // The worker frees what is idle, and the task fills that too.
    let probe = disk.join("probe");
    // The room that the probe takes has to be there for the task, or the disk is never full.
    let is_full = || std::fs::write(&probe, "x").is_err() || std::fs::remove_file(&probe).is_err();
    while bench.entries("mounts/caches/folders") != [""; 0] || !is_full() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let heedless = bench.start(heedless);
    let new_cache = bench.create(json!({
        "command": ["true"],
        "mounts": [{ "cacheName": "new", "directory": "cache" }],
    }));
    let status = bench.resolved(&new_cache).await;
    assert_eq!(state(&status), "exception/resource-unavailable");
    heedless.stop().await;

    let waiting = bench.create(json!({ "command": ["true"] }));
    tokio::time::sleep(Duration::from_millis(500)).await;
    let status = bench.taskcluster.status(&waiting).expect("the task exists");
    assert_eq!(status.state, TaskState::Pending, "there is no room for it");
    std::fs::write(&go_on, "").expect("the mark is on another disk");
    assert_eq!(state(&bench.resolved(&filling).await), "completed");
    assert_eq!(state(&bench.resolved(&waiting).await), "completed");
    running.stop().await;
}
