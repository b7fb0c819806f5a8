//! The test bed: an embedded Taskcluster and workers for it.

mod actions;
mod blocked_task;
mod hooks;
mod isolated;
mod manual_time;
mod settings;
mod worker_process;
mod workers;

pub(crate) use blocked_task::BlockedTask;
pub(crate) use isolated::{HeldResources, is_isolated, run_isolated};
pub(crate) use manual_time::ManualTime;
pub(crate) use settings::{WorkerSettings, live_log, process_engine};
pub(crate) use worker_process::{WorkerProcess, run_as_worker_process};

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use runtime_core::{LifeCycleTracker, Stoppable as _};
use runtime_gc::{GarbageCollector, GcConfig, HostStats};
use runtime_mocks::taskcluster::{Fault, FaultHandle, FaultRule, Taskcluster, TaskclusterBuilder};
use runtime_worker::observer::{Observer, TaskEvent};
use runtime_worker::report::TaskReport;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use hooks::CountingHooks;

/// The task queue of all tests. Each test has its own Taskcluster.
const TASK_QUEUE: &str = "test/linux";

/// Duration of a long poll. Short, because a graceful stop waits for the claim in flight.
const SHORT_POLL: Duration = Duration::from_millis(100);

/// Age of a claim of 20 minutes at which it is reclaimed.
pub(crate) const RECLAIM_AGE: Duration = Duration::from_secs(1100);

/// Age of a claim of 20 minutes at which it has expired.
pub(crate) const EXPIRED_CLAIM_AGE: Duration = Duration::from_secs(1300);

/// An embedded Taskcluster, the folder of its worker, and recorded events.
pub(crate) struct TestBed {
    pub(crate) taskcluster: Taskcluster,
    pub(crate) folder: TempDir,
    markers: TempDir,
    hooks: CountingHooks,
    reports: Reports,
    /// Removes purged resources. Its thresholds never evict idle ones.
    pub(crate) collector: GarbageCollector,
    claims: FaultHandle,
    reclaims: FaultHandle,
}

/// Records the reports of workers.
#[derive(Clone, Debug, Default)]
struct Reports(Arc<Mutex<Vec<TaskReport>>>);

impl Observer for Reports {
    fn event(&self, event: &TaskEvent<'_>) {
        if let TaskEvent::Resolved(report) = event {
            self.0.lock().push((*report).clone());
        }
    }
}

/// A worker that runs in a tokio task.
pub(crate) struct RunningWorker {
    stop: LifeCycleTracker,
    worker: JoinHandle<()>,
}

impl TestBed {
    pub(crate) async fn new() -> Self {
        Self::with_claim_timeout(Duration::from_secs(1200)).await
    }

    pub(crate) async fn with_claim_timeout(timeout: Duration) -> Self {
        Self::with(Taskcluster::builder().claim_timeout(timeout), SHORT_POLL).await
    }

    pub(crate) async fn with_long_poll(long_poll: Duration) -> Self {
        Self::with(Taskcluster::builder(), long_poll).await
    }

    async fn with(builder: TaskclusterBuilder, long_poll: Duration) -> Self {
        let folder = tempfile::tempdir().expect("create a folder");
        Self::with_folder(builder, long_poll, folder).await
    }

    /// Creates a test bed with the worker's folder below this one.
    pub(crate) async fn in_folder(folder: &Path) -> Self {
        let folder = tempfile::tempdir_in(folder).expect("create a folder");
        Self::with_folder(Taskcluster::builder(), SHORT_POLL, folder).await
    }

    async fn with_folder(
        builder: TaskclusterBuilder,
        long_poll: Duration,
        folder: TempDir,
    ) -> Self {
        let builder = builder.long_poll(long_poll);
        let taskcluster = builder.start().await.expect("start Taskcluster");
        // A latency of zero only counts the requests.
        let count =
            |method| taskcluster.inject(FaultRule::new(method, Fault::Latency { millis: 0 }));
        Self {
            claims: count("queue.claimWork"),
            reclaims: count("queue.reclaimTask"),
            taskcluster,
            folder,
            markers: tempfile::tempdir().expect("create a folder"),
            hooks: CountingHooks::default(),
            reports: Reports::default(),
            collector: GarbageCollector::new(GcConfig::default(), HostStats::new("/")),
        }
    }

    pub(crate) fn settings(&self) -> WorkerSettings {
        let credentials = self.taskcluster.credentials();
        WorkerSettings {
            root_url: self.taskcluster.root_url().to_owned(),
            client_id: credentials.client_id,
            access_token: credentials.access_token.expose_secret().to_owned(),
            folder: self.folder.path().to_owned(),
            mounts: false,
            capacity: 4,
        }
    }
}

impl RunningWorker {
    pub(crate) fn tracker(&self) -> LifeCycleTracker {
        self.stop.clone()
    }

    /// Waits until the worker has stopped by itself.
    pub(crate) async fn wait(self) {
        with_timeout(self.worker).await.expect("no panic");
    }

    /// Stops gracefully and waits until the worker has stopped.
    pub(crate) async fn stop(self) {
        self.stop.stop_gracefully();
        with_timeout(self.worker).await.expect("no panic");
    }

    /// Stops immediately and waits until the worker has stopped.
    pub(crate) async fn stop_now(self) {
        self.stop.stop_now();
        with_timeout(self.worker).await.expect("no panic");
    }
}

pub(crate) fn sh(script: &str) -> Value {
    json!({ "command": ["sh", "-c", script] })
}

/// Returns the processes whose environment contains `text`.
fn processes_with_env(text: &[u8]) -> Vec<u32> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let has_text = |pid: &u32| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.windows(text.len()).any(|window| window == text)
    };
    pids.filter(has_text).collect()
}

/// Polls until the condition holds.
pub(crate) async fn wait_until(condition: impl Fn() -> bool) {
    with_timeout(async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

/// Fails a test that hangs.
async fn with_timeout<T>(work: impl Future<Output = T>) -> T {
    let limit = Duration::from_secs(60);
    tokio::time::timeout(limit, work).await.expect("no timeout")
}

/// Returns whether a process is running. Zombies are not.
pub(crate) fn is_alive(pid: u32) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !state.is_empty() && !state.contains(") Z ")
}
