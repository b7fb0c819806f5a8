//! A worker on an embedded Taskcluster, and what tests ask of both.

mod alone;
mod asking;
mod child;
mod held;
mod settings;
mod time;
mod workers;

pub(crate) use alone::{Holdings, is_alone, run_alone};
pub(crate) use child::{WorkerProcess, be_the_worker};
pub(crate) use held::Held;
pub(crate) use settings::{Settings, live_log, process_engine};
pub(crate) use time::SlowMotion;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use runtime_core::{LifeCycleTracker, Stoppable as _};
use runtime_gc::{GarbageCollector, GcConfig, HostStats};
use runtime_mocks::taskcluster::{
    Fault, FaultRule, InjectedFault, TaskSnapshot, Taskcluster, TaskclusterBuilder,
};
use runtime_worker::observer::{Observer, TaskEvent};
use runtime_worker::report::TaskReport;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::hooks::CountingHooks;

/// The queue of all tests; each has a Taskcluster of its own.
const QUEUE: &str = "test/linux";

/// How long a claim waits for a task, since a worker that stops gracefully waits for its claim.
const SHORT_POLL: Duration = Duration::from_millis(100);

/// From the start of a claim of 20 minutes, time enough for it to be extended.
pub(crate) const NEARLY_A_CLAIM: Duration = Duration::from_secs(1100);

/// From the start of a claim of 20 minutes, time enough for it to be over.
pub(crate) const MORE_THAN_A_CLAIM: Duration = Duration::from_secs(1300);

/// An embedded Taskcluster, the folder of a worker for it, and what is noted of the worker.
pub(crate) struct Bench {
    pub(crate) taskcluster: Taskcluster,
    pub(crate) folder: TempDir,
    marks: TempDir,
    hooks: CountingHooks,
    reports: Reports,
    /// Removes what caches have to remove, and nothing else.
    pub(crate) collector: GarbageCollector,
    claims: InjectedFault,
    reclaims: InjectedFault,
}

/// Keeps what workers report.
#[derive(Clone, Debug, Default)]
struct Reports(Arc<Mutex<Vec<TaskReport>>>);

impl Observer for Reports {
    fn event(&self, event: &TaskEvent<'_>) {
        if let TaskEvent::Resolved(report) = event {
            self.0.lock().push((*report).clone());
        }
    }
}

/// A worker that runs in the background.
pub(crate) struct Running {
    stop: LifeCycleTracker,
    worker: JoinHandle<()>,
}

impl Bench {
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
        let folder = tempfile::tempdir().expect("a folder for the test");
        Self::with_folder(builder, long_poll, folder).await
    }

    /// With the worker's folder below this one.
    pub(crate) async fn below(folder: &Path) -> Self {
        let folder = tempfile::tempdir_in(folder).expect("a folder for the test");
        Self::with_folder(Taskcluster::builder(), SHORT_POLL, folder).await
    }

    async fn with_folder(
        builder: TaskclusterBuilder,
        long_poll: Duration,
        folder: TempDir,
    ) -> Self {
        let builder = builder.long_poll(long_poll);
        let taskcluster = builder.start().await.expect("a Taskcluster on a free port");
        // Delays of nothing, which count.
        let count =
            |method| taskcluster.inject(FaultRule::new(method, Fault::Latency { millis: 0 }));
        Self {
            claims: count("queue.claimWork"),
            reclaims: count("queue.reclaimTask"),
            taskcluster,
            folder,
            marks: tempfile::tempdir().expect("a folder for the test"),
            hooks: CountingHooks::default(),
            reports: Reports::default(),
            collector: GarbageCollector::new(GcConfig::default(), HostStats::new("/")),
        }
    }

    pub(crate) fn settings(&self) -> Settings {
        let credentials = self.taskcluster.credentials();
        Settings {
            root_url: self.taskcluster.root_url().to_owned(),
            client_id: credentials.client_id,
            access_token: credentials.access_token.expose_secret().to_owned(),
            folder: self.folder.path().to_owned(),
            mounts: false,
            capacity: 4,
        }
    }
}

impl Running {
    pub(crate) fn tracker(&self) -> LifeCycleTracker {
        self.stop.clone()
    }

    /// Waits for the end.
    pub(crate) async fn ended(self) {
        within_a_minute(self.worker)
            .await
            .expect("the worker does not panic");
    }

    /// Stops gracefully and waits for the end.
    pub(crate) async fn stop(self) {
        self.stop.stop_gracefully();
        within_a_minute(self.worker)
            .await
            .expect("the worker does not panic");
    }

    /// Stops at once and waits for the end.
    pub(crate) async fn stop_now(self) {
        self.stop.stop_now();
        within_a_minute(self.worker)
            .await
            .expect("the worker does not panic");
    }
}

pub(crate) fn state(status: &TaskSnapshot) -> String {
    let state = format!("{:?}", status.state).to_lowercase();
    match status.reason_resolved() {
        Some(reason) if state == "exception" => format!("exception/{reason}"),
        _ => state,
    }
}

pub(crate) fn sh(script: &str) -> Value {
    json!({ "command": ["sh", "-c", script] })
}

/// The processes whose environment mentions something.
fn processes_with(text: &[u8]) -> Vec<u32> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let has_text = |pid: &u32| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.windows(text.len()).any(|window| window == text)
    };
    pids.filter(has_text).collect()
}

/// Looks until it is so.
pub(crate) async fn until(is_so: impl Fn() -> bool) {
    within_a_minute(async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

/// A test that hangs tells less than one that fails.
async fn within_a_minute<T>(work: impl Future<Output = T>) -> T {
    let limit = Duration::from_secs(60);
    tokio::time::timeout(limit, work)
        .await
        .expect("it takes no minute")
}

/// Reports whether a process runs; one that ended and waits to be reaped by its parent does not.
pub(crate) fn is_alive(pid: u32) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !state.is_empty() && !state.contains(") Z ")
}
