//! The status page of a simulated worker, for demonstration and browser tests.
//!
//! ```text
//! cargo run -p runtime-monitoring --all-features --example status
//! ```
//!
//! Prints the URL of the page and serves it until SIGINT or SIGTERM.

use std::borrow::Cow;
use std::error::Error;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use runtime_core::webhook::WebHookServer as _;
use runtime_core::{Run, TaskId};
use runtime_gc::{
    Amount, CostClass, Disk, Disposable, DisposableResource, DisposeError, Footprint,
    GarbageCollector, Memory, Size, Stat, Stats, SystemStats, Threshold,
};
use runtime_ioext::FollowedLog;
use runtime_monitoring::status::{GaugeHistory, Health, StatusPage, TaskOverview};
use runtime_monitoring::{MachineGauges, Metrics, MonitoringConfig, MonitoringParts, from_config};
use runtime_webhook::LocalhostServer;
use tokio::signal;
use tokio::time::interval;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[tokio::main]
async fn main() -> Result<()> {
    let mut config = MonitoringConfig::default();
    config
        .tags
        .insert("workerId".to_owned(), "i-0a1b2c3d".to_owned());
    let monitoring = from_config(&config);
    monitoring.redactor.add("correct-horse-battery")?;
    let folder = tempfile::tempdir()?;

    let (collector, _resources) = collector();
    let history = past_hour();
    let machine = MachineGauges::new(LowDisk)
        .with_redactor(monitoring.redactor.clone())
        .with_root(calm_machine(folder.path())?);
    machine.sample(&monitoring.metrics);
    let _recording = history.record(machine, monitoring.metrics.clone());
    let overview = TaskOverview::new(&monitoring.metrics);
    finish_some(&overview)?;
    let working = [
        work(
            &overview,
            folder.path(),
            "VmN0bQ9uT2uRkXn1d0nKgA",
            "linux64/opt: build",
        )?,
        work(
            &overview,
            folder.path(),
            "RmzTkg-8Qj614ea9fI9Jmg",
            "test: browser, chunk 3 of 8",
        )?,
    ];
    fail_some(&monitoring);
    let health = Health::new();
    health.set_ready(true);

    let page = StatusPage::new("proj-ci/linux · i-0a1b2c3d", &monitoring)
        .tasks(overview)
        .health(health)
        .history(history)
        .capacity(4)
        .collector(move || collector.explain());
    let server = LocalhostServer::builder().fallback(page.to_probe_handler());
    let server = server.start().await?;
    let hook = server.attach(page.into_handler()).await?;
    println!("export STATUS_URL='{}'", hook.url());
    stopped().await?;
    working.iter().for_each(|task| task.abort());
    drop(hook);
    server.stop(Duration::from_secs(1)).await;
    Ok(())
}

/// Waits for a signal to stop.
async fn stopped() -> io::Result<()> {
    #[cfg(unix)]
    {
        let mut terminate = signal::unix::signal(signal::unix::SignalKind::terminate())?;
        tokio::select! {
            _ = terminate.recv() => Ok(()),
            interrupt = signal::ctrl_c() => interrupt,
        }
    }
    #[cfg(not(unix))]
    signal::ctrl_c().await
}

/// Creates a `/proc` with low pressure, in which `self` is the real process.
fn calm_machine(folder: &Path) -> io::Result<PathBuf> {
    let root = folder.join("machine");
    fs::create_dir_all(root.join("proc/pressure"))?;
    for (resource, percent) in [("cpu", 31), ("io", 9), ("memory", 2)] {
        let file = root.join("proc/pressure").join(resource);
        fs::write(file, format!("some avg10={percent}.00 avg60=0.00\n"))?;
    }
    #[cfg(unix)]
    std::os::unix::fs::symlink("/proc/self", root.join("proc/self"))?;
    Ok(root)
}

/// Returns an hour in which the disk filled up and was cleared repeatedly.
fn past_hour() -> GaugeHistory {
    let (history, metrics, now) = (GaugeHistory::new(), Metrics::new(), Timestamp::now());
    for minute in 0..180 {
        let at = now - SignedDuration::from_secs(20 * (180 - minute));
        let t = minute as f64 / 30.0;
        let gib = 1024.0 * 1024.0 * 1024.0;
        metrics.set_gauge("disk-free", gib * (46.0 - (t * 7.3) % 22.0));
        metrics.set_gauge("memory-available", gib * (3.2 + 1.3 * (t * 1.7).sin()));
        for (resource, share) in [
            ("cpu", 0.22 + 0.16 * (t * 2.3).sin()),
            ("io", 0.08 + 0.07 * (t * 3.1).cos()),
            ("memory", 0.02 + 0.02 * (t * 1.1).sin()),
        ] {
            metrics.set_gauge_with("pressure", &[("resource", resource)], share);
        }
        let tasks = if (minute / 25) % 3 == 0 { 1.0 } else { 2.0 };
        metrics.set_gauge_with("tasks", &[("state", "running")], tasks);
        history.add(at, &metrics.snapshot());
    }
    history
}

/// Starts a task that writes a line per second.
fn work(
    overview: &TaskOverview,
    folder: &Path,
    task_id: &str,
    name: &str,
) -> Result<tokio::task::JoinHandle<()>> {
    let run = run(task_id)?;
    let log = FollowedLog::create(folder.join(format!("{task_id}.log")))?;
    overview.claimed(&run, name);
    overview.log(&run, &log);
    overview.started(&run);
    let writer = log.writer();
    writer.write_all(b"[taskcluster 2026-11-25T02:40:12.031Z] Starting task\n")?;
    writer.write_all(b"logged in with correct-horse-battery\n")?;
    Ok(tokio::spawn(async move {
        let mut ticks = interval(Duration::from_secs(1));
        for step in 1_u32.. {
            ticks.tick().await;
            let line = format!("compiling <unit {step}> of 4096\n");
            if writer.write_all(line.as_bytes()).is_err() {
                return;
            }
        }
    }))
}

fn run(task_id: &str) -> Result<Run> {
    Ok(Run {
        task_id: task_id.parse::<TaskId>()?,
        run_id: 0,
    })
}

fn finish_some(overview: &TaskOverview) -> Result<()> {
    for (task_id, name, resolution) in [
        ("PqJ4o1vBSxm2nY0z3eKQ7w", "lint", "completed"),
        (
            "Xk0aUeKbR9iGm7ZrYtN2uQ",
            "test: browser, chunk 2 of 8",
            "failed",
        ),
        (
            "L8yWbn2FQ0qT5c3dVhJ6sA",
            "windows/debug: build",
            "worker-shutdown",
        ),
    ] {
        let run = run(task_id)?;
        overview.claimed(&run, name);
        overview.resolved(&run, resolution);
    }
    Ok(())
}

#[derive(Debug, thiserror::Error)]
#[error("cannot upload `public/build/target.tar.gz`")]
struct UploadFailed(#[source] io::Error);

fn fail_some(monitoring: &MonitoringParts) {
    let reset = io::Error::new(io::ErrorKind::ConnectionReset, "connection reset by peer");
    let task = monitoring
        .monitor
        .with_prefix("artifacts")
        .with_tag("taskId", "Xk0aUeKbR9iGm7ZrYtN2uQ");
    task.report_warning(&UploadFailed(reset), "uploading an artifact, will retry");
    let error = io::Error::other("token correct-horse-battery is not valid");
    task.report_error(&UploadFailed(error), "a task could not be <finished>");
}

/// Returns a collector that needs to free disk space, and its resources. These are registered until dropped.
fn collector() -> (GarbageCollector, Vec<Arc<Cached>>) {
    let mut config = runtime_gc::GcConfig::default();
    config.limits.min_free_disk = Some(Threshold::at(Amount::Absolute(26 << 30)));
    let collector = GarbageCollector::new(config, LowDisk);
    let cached = [
        (
            "https://example.com/toolchain.tar.zst",
            CostClass::Cheap,
            640,
            2400,
        ),
        (
            "public/build/target.tar.gz of LzQ3bWv1Ro2",
            CostClass::Cheap,
            1900,
            1500,
        ),
        ("image sha256:9f2c41d0", CostClass::Moderate, 2300, 900),
        ("checkouts/linux64", CostClass::Expensive, 7400, 0),
        ("sccache/linux64", CostClass::Expensive, 12_100, 300),
    ];
    let cached: Vec<Arc<Cached>> = cached
        .into_iter()
        .map(|(name, class, mib, idle)| {
            Arc::new(Cached {
                resource: DisposableResource::with_idle_time(Duration::from_secs(idle)),
                name,
                class,
                mib,
            })
        })
        .collect();
    for resource in &cached {
        collector.tracker().register(resource.clone());
    }
    // In use by a task.
    assert!(cached[3].resource.acquire(), "not being disposed of");
    (collector, cached)
}

/// A machine with little free disk space.
#[derive(Debug)]
struct LowDisk;

impl SystemStats for LowDisk {
    fn read(&self) -> Stats {
        let (disk, memory) = (Disk::new(50 << 30, 24 << 30), Memory::new(8 << 30, 3 << 30));
        Stats::new(Stat::Known(disk), Stat::Known(memory))
    }
}

/// A cached resource.
#[derive(Debug)]
struct Cached {
    resource: DisposableResource,
    name: &'static str,
    class: CostClass,
    mib: u64,
}

#[async_trait]
impl Disposable for Cached {
    fn resource(&self) -> &DisposableResource {
        &self.resource
    }

    fn name(&self) -> Cow<'_, str> {
        self.name.into()
    }

    fn footprint(&self) -> Footprint {
        Footprint::disk(Size::Known(self.mib << 20))
    }

    fn class(&self) -> CostClass {
        self.class
    }

    async fn dispose(&self) -> std::result::Result<(), DisposeError> {
        Ok(())
    }
}
