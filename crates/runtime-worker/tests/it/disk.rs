//! A small disk that tasks fill: the worker evicts caches and pauses its claims, and no task fails.
//!
//! The disk is simulated: its free space is a fixed size minus the size of the files in the worker's folder.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use runtime_core::Monitor;
use runtime_core::monitor::Level;
use runtime_gc::{
    Amount, Disk, GarbageCollector, GcConfig, HostStats, Stat, Stats, SystemStats, Threshold,
};
use runtime_mocks::MockMonitor;
use runtime_mocks::taskcluster::TaskState;
use runtime_worker::admission::CollectorAdmission;
use runtime_worker::gc_metrics::record_gc_metrics;
use runtime_worker::{Timing, WorkerBuilder};
use serde_json::{Value, json};

use crate::support::{TestBed, wait_until};

const KIB: u64 = 1024;

#[derive(Clone, Debug)]
struct SmallDisk {
    folder: PathBuf,
    reads: Arc<AtomicUsize>,
}

impl SmallDisk {
    const SIZE: u64 = 1000 * KIB;

    fn used(&self) -> u64 {
        size(&self.folder)
    }

    fn reads(&self) -> usize {
        self.reads.load(Ordering::SeqCst)
    }
}

impl SystemStats for SmallDisk {
    fn read(&self) -> Stats {
        self.reads.fetch_add(1, Ordering::SeqCst);
        let free = Self::SIZE.saturating_sub(self.used());
        Stats::new(Stat::Known(Disk::new(Self::SIZE, free)), Stat::Absent)
    }
}

/// The statistics of the machine, and the number of reads.
#[derive(Clone, Debug)]
struct CountedStats {
    stats: HostStats,
    reads: Arc<AtomicUsize>,
}

impl SystemStats for CountedStats {
    fn read(&self) -> Stats {
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.stats.read()
    }
}

/// Returns the size of all files below a folder. Files that are removed meanwhile count as empty.
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

async fn worker(bed: &TestBed) -> (SmallDisk, WorkerBuilder) {
    let disk = SmallDisk {
        folder: bed.folder.path().to_owned(),
        reads: Arc::default(),
    };
    let worker = worker_on(bed, disk.clone(), 400, &Monitor::null()).await;
    (disk, worker)
}

/// Returns a worker whose threshold for free disk is `floor` KiB, with a target of 100 KiB more.
async fn worker_on(
    bed: &TestBed,
    disk: impl SystemStats,
    floor: u64,
    monitor: &Monitor,
) -> WorkerBuilder {
    let mut config = GcConfig::default();
    let target = Amount::Absolute((floor + 100) * KIB);
    config.limits.min_free_disk = Some(Threshold::at(Amount::Absolute(floor * KIB)).target(target));
    let collector = GarbageCollector::with_listener(config, disk, record_gc_metrics(monitor));
    let mut timing = Timing::default();
    timing.claim_retry_delay = Duration::from_millis(20);
    let worker = bed.worker_with_resources(collector.tracker()).await;
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
async fn idle_caches_are_evicted_for_the_next_task() {
    let bed = TestBed::new().await;
    let disk = SmallDisk {
        folder: bed.folder.path().to_owned(),
        reads: Arc::default(),
    };
    let (monitor, recorded) = MockMonitor::new();
    let worker = worker_on(&bed, disk.clone(), 400, &monitor).await;
    let running = bed.start(worker.capacity(1));
    for name in ["a", "b", "c", "d", "e", "f", "g"] {
        let task_id = bed.create(fill_cache(name));
        assert_eq!(bed.resolved(&task_id).await.state_and_reason(), "completed");
        assert!(disk.used() <= 820 * KIB, "{}", disk.used());
    }
    running.stop().await;
    let freed = recorded.counter("gc.freed");
    assert!(freed >= 4, "{freed}");
    assert!(recorded.counter("gc.freed-disk") >= freed * 200 * KIB);
    assert_eq!(recorded.counter("gc.failed"), 0);
    assert_eq!(recorded.counter("gc.slow"), 0);
    assert!(!recorded.values("gc.duration").is_empty());
    assert!(
        recorded
            .values("gc.quarantined")
            .iter()
            .all(|it| *it == 0.0)
    );
}

#[tokio::test]
async fn idle_cache_is_evicted_for_an_input() {
    let bed = TestBed::new().await;
    let (disk, worker) = worker(&bed).await;
    let running = bed.start(worker);
    let cached = bed.create(json!({
        "command": ["sh", "-c", "head -c 250k /dev/zero > cache/data"],
        "mounts": [{ "cacheName": "idle", "directory": "cache" }],
    }));
    assert_eq!(bed.resolved(&cached).await.state_and_reason(), "completed");
    let maker = bed.create(json!({
        "command": ["sh", "-c", "head -c 200k /dev/urandom > input"],
        "artifacts": [{ "name": "public/input", "type": "file", "path": "input" }],
    }));
    assert_eq!(bed.resolved(&maker).await.state_and_reason(), "completed");

    let (started, go_on) = (bed.marker("started"), bed.marker("go-on"));
    let script = format!(
        "echo > {}; until [ -e {} ]; do sleep 0.05; done",
        started.display(),
        go_on.display()
    );
    let user = bed.create_with(json!({
        "dependencies": [maker],
        "payload": {
            "command": ["sh", "-c", script],
            "mounts": [{ "content": { "taskId": maker, "artifact": "public/input" }, "file": "input" }],
        },
    }));
    bed.wait_for_file(&started).await;
    // With the cache, the input and its copy would exceed the threshold.
    assert!(disk.used() <= 600 * KIB, "{}", disk.used());
    std::fs::write(&go_on, "").expect("write a file");
    assert_eq!(bed.resolved(&user).await.state_and_reason(), "completed");
    running.stop().await;
}

#[tokio::test]
async fn full_disk_pauses_claims_until_the_task_ends() {
    let bed = TestBed::new().await;
    let (disk, worker) = worker(&bed).await;
    let (full, go_on) = (bed.marker("full"), bed.marker("go-on"));
    let script = format!(
        "head -c 900k /dev/zero > data; echo full > {}; while [ ! -e {} ]; do sleep 0.05; done",
        full.display(),
        go_on.display()
    );
    let filling = bed.create(json!({ "command": ["sh", "-c", script], "maxRunTime": 600 }));
    let running = bed.start(worker);
    bed.wait_for_file(&full).await;
    // A claim that was in flight when the disk became full may still return a task, so wait for the next admission.
    let reads = disk.reads();
    wait_until(|| disk.reads() >= reads + 2).await;

    let waiting = bed.create(json!({ "command": ["true"] }));
    let reads = disk.reads();
    wait_until(|| disk.reads() >= reads + 3).await;
    let status = bed.taskcluster.status(&waiting).expect("an existing task");
    assert_eq!(status.state, TaskState::Pending, "the disk is full");
    std::fs::write(&go_on, "\n").expect("write a file");
    assert_eq!(
        bed.resolved(&filling).await.state_and_reason(),
        "completed",
        "the task itself succeeded"
    );
    assert_eq!(bed.resolved(&waiting).await.state_and_reason(), "completed");
    running.stop().await;
}

#[tokio::test]
async fn refusal_is_logged_once_as_a_warning() {
    let bed = TestBed::new().await;
    let disk = SmallDisk {
        folder: bed.folder.path().to_owned(),
        reads: Arc::default(),
    };
    let filler = disk.folder.join("filler");
    std::fs::write(&filler, vec![0; 900 * KIB as usize]).expect("write a file");
    let mut config = GcConfig::default();
    let floor = Threshold::at(Amount::Absolute(400 * KIB));
    config.limits.min_free_disk = Some(floor);
    let collector = GarbageCollector::new(config, disk.clone());
    let (monitor, recorded) = MockMonitor::new();
    let mut timing = Timing::default();
    timing.claim_retry_delay = Duration::from_millis(20);
    let worker = bed.worker_with_monitor(monitor).timing(timing);
    let running = bed.start(worker.admission(Arc::new(CollectorAdmission::new(collector))));
    wait_until(|| disk.reads() >= 4).await;
    running.stop().await;
    let lines = recorded.lines();
    let mut refusals = lines
        .iter()
        .filter(|line| line.message.starts_with("not claiming: the machine is low"));
    let refusal = refusals.next().expect("a refusal");
    assert_eq!(refusal.level, Level::WARN);
    assert!(refusal.message.contains("disk"), "{}", refusal.message);
    assert!(refusals.next().is_none(), "{lines:?}");
}

/// The mount point of a disk of 4 MiB, which `cargo xtask e2e full-disk` creates.
const SMALL_DISK: &str = "RUNTIME_WORKER_SMALL_DISK";

#[tokio::test]
#[ignore = "needs a small disk, which `cargo xtask e2e full-disk` mounts"]
async fn real_full_disk_fails_no_task() {
    let disk = PathBuf::from(std::env::var_os(SMALL_DISK).expect("a mounted disk"));
    let bed = TestBed::in_folder(&disk).await;
    let pressure = CountedStats {
        stats: HostStats::new(&disk),
        reads: Arc::default(),
    };
    let worker = worker_on(&bed, pressure.clone(), 1000, &Monitor::null()).await;
    // A second worker without admission. It opens its caches while the disk has space.
    let settings = bed.settings().in_folder(disk.join("unrestricted"));
    let mounts = settings.mounts().open(bed.collector.tracker()).await;
    let unrestricted = settings.worker().plugin(mounts.expect("open the caches"));
    let running = bed.start(worker);
    for name in ["a", "b", "c", "d", "e", "f", "g"] {
        let fill = json!({
            "command": ["sh", "-c", "head -c 700k /dev/zero > cache/data"],
            "mounts": [{ "cacheName": name, "directory": "cache" }],
        });
        let task_id = bed.create(fill);
        let status = bed.resolved(&task_id).await;
        assert_eq!(
            status.state_and_reason(),
            "completed",
            "{}",
            bed.log(&task_id).await
        );
    }

    let (full, go_on) = (bed.marker("full"), bed.marker("go-on"));
    let script = format!(
        "until [ -e {} ]; do cat /dev/zero >> data 2>/dev/null; echo > {}; sleep 0.05; done; rm data",
        go_on.display(),
        full.display()
    );
    let filling = bed.create(json!({ "command": ["sh", "-c", script], "maxRunTime": 600 }));
    bed.wait_for_file(&full).await;
    // The worker evicts its idle caches, and the task fills that space too.
    let probe = disk.join("probe");
    // The probe is removed again, since the task has to fill its space too.
    let is_full = || std::fs::write(&probe, "x").is_err() || std::fs::remove_file(&probe).is_err();
    let limit = std::time::Instant::now() + Duration::from_secs(120);
    while bed.entries("mounts/caches/folders") != [""; 0] || !is_full() {
        assert!(std::time::Instant::now() < limit, "the disk is never full");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let unrestricted = bed.start(unrestricted);
    let new_cache = bed.create(json!({
        "command": ["true"],
        "mounts": [{ "cacheName": "new", "directory": "cache" }],
    }));
    let status = bed.resolved(&new_cache).await;
    assert_eq!(status.state_and_reason(), "exception/resource-unavailable");
    unrestricted.stop().await;

    let waiting = bed.create(json!({ "command": ["true"] }));
    // The admission is asked each 20 ms.
    let reads = || pressure.reads.load(Ordering::SeqCst);
    let before = reads();
    wait_until(|| reads() >= before + 10).await;
    let status = bed.taskcluster.status(&waiting).expect("an existing task");
    assert_eq!(status.state, TaskState::Pending, "the disk is full");
    std::fs::write(&go_on, "").expect("write to another disk");
    assert_eq!(bed.resolved(&filling).await.state_and_reason(), "completed");
    assert_eq!(bed.resolved(&waiting).await.state_and_reason(), "completed");
    running.stop().await;
}

#[tokio::test]
#[ignore = "needs a small disk, which `cargo xtask e2e full-disk` mounts"]
async fn log_on_a_real_full_disk_says_so() {
    let disk = PathBuf::from(std::env::var_os(SMALL_DISK).expect("a mounted disk"));
    let bed = TestBed::in_folder(&disk).await;
    let running = bed.start(bed.worker());
    let script = "cat /dev/zero > data 2> errors; \
        i=0; while [ $i -lt 100000 ]; do echo \"line $i of the output\"; i=$((i + 1)); done";
    let filling = bed.create(json!({ "command": ["sh", "-c", script], "maxRunTime": 600 }));
    let status = bed.resolved(&filling).await;
    running.stop().await;
    let log = bed.log(&filling).await;
    assert_eq!(
        status.state_and_reason(),
        "exception/resource-unavailable",
        "{log}"
    );
    let lines: Vec<_> = log.lines().collect();
    let (last, output) = lines.split_last().expect("a line");
    assert_eq!(
        *last,
        "[taskcluster:error] the disk of the worker is full, so the end of this log is missing"
    );
    assert!(log.ends_with('\n'));
    let is_whole = |line: &&str| line.starts_with('[') || line.ends_with(" of the output");
    assert!(output.len() > 10 && output.iter().all(is_whole), "{log}");
}
