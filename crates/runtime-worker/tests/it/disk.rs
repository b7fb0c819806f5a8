//! A small disk that tasks fill: the worker frees caches, pauses its claims, and no task dies of it.
//!
//! The disk is a figure: what is left of it is a size less what the files in the worker's folder take.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use runtime_gc::{Amount, Config, Disk, GarbageCollector, Mark, Pressure, Reading, Readings};
use runtime_mocks::taskcluster::TaskState;
use runtime_worker::{CollectorAdmission, Timing, WorkerBuilder};
use serde_json::{Value, json};

use crate::support::{Bench, state};

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

impl Pressure for SmallDisk {
    fn read(&self) -> Readings {
        self.looks.fetch_add(1, Ordering::SeqCst);
        let free = Self::SIZE.saturating_sub(self.used());
        Readings::new(Reading::Known(Disk::new(Self::SIZE, free)), Reading::Absent)
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

/// A worker that keeps 400 KiB free, and comes to rest at 500.
async fn worker(bench: &Bench) -> (SmallDisk, WorkerBuilder) {
    let disk = SmallDisk {
        folder: bench.folder.path().to_owned(),
        looks: Arc::default(),
    };
    let mut config = Config::default();
    let floor = Mark::at(Amount::Absolute(400 * KIB)).rest(Amount::Absolute(500 * KIB));
    config.limits.min_free_disk = Some(floor);
    let collector = GarbageCollector::new(config, disk.clone());
    let mut timing = Timing::default();
    timing.claim_pause = Duration::from_millis(20);
    let worker = bench
        .worker_with_mounts_on(collector.tracker())
        .await
        .timing(timing);
    (
        disk,
        worker.admission(Arc::new(CollectorAdmission::new(collector))),
    )
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
    let (disk, worker) = worker(&bench).await;
    let running = bench.start(worker.capacity(1));
    for name in ["a", "b", "c", "d", "e", "f", "g"] {
        let task_id = bench.create(fill_cache(name));
        assert_eq!(state(&bench.resolved(&task_id).await), "completed");
        assert!(disk.used() <= 820 * KIB, "{}", disk.used());
    }
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
    while disk.looks() < looks + 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    let waiting = bench.create(json!({ "command": ["true"] }));
    let looks = disk.looks();
    while disk.looks() < looks + 3 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
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
