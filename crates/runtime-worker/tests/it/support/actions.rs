//! Actions and queries of the test bed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use runtime_core::LifeCycleTracker;
use runtime_mocks::taskcluster::{FaultHandle, TaskSnapshot};
use runtime_worker::WorkerBuilder;
use runtime_worker::report::TaskReport;
use serde_json::{Value, json};

use super::{RunningWorker, TASK_QUEUE, TestBed, processes_with_env, wait_until, with_timeout};

impl TestBed {
    pub(crate) fn start(&self, worker: WorkerBuilder) -> RunningWorker {
        let worker = worker.build().expect("a valid worker");
        let stop = LifeCycleTracker::new();
        let tracker = stop.clone();
        let worker = tokio::spawn(async move { worker.run_until(&tracker).await });
        RunningWorker { stop, worker }
    }

    /// Runs a worker that stops by itself.
    pub(crate) async fn run_until_stopped(&self, worker: WorkerBuilder, stop: &LifeCycleTracker) {
        let worker = worker.build().expect("a valid worker");
        with_timeout(worker.run_until(stop)).await;
    }

    pub(crate) fn create(&self, payload: Value) -> String {
        self.create_with(json!({ "payload": payload }))
    }

    pub(crate) fn create_with(&self, mut definition: Value) -> String {
        definition["taskQueueId"] = json!(TASK_QUEUE);
        self.taskcluster
            .create_task(definition)
            .expect("a valid definition")
    }

    /// Cancels an unresolved task.
    pub(crate) fn cancel(&self, task_id: &str) {
        let cancelled = self.taskcluster.cancel_task(task_id);
        cancelled.expect("an unresolved task");
    }

    pub(crate) async fn resolved(&self, task_id: &str) -> TaskSnapshot {
        let resolved = self
            .taskcluster
            .wait_for(task_id, |status| status.state.is_resolved());
        with_timeout(resolved).await.expect("an existing task")
    }

    pub(crate) async fn wait_until_claimed(&self, task_id: &str) {
        let is_claimed = |status: &TaskSnapshot| {
            status
                .runs
                .last()
                .is_some_and(|run| run.worker_id.is_some())
        };
        with_timeout(self.taskcluster.wait_for(task_id, is_claimed))
            .await
            .expect("an existing task");
    }

    /// Waits until the status of a task matches.
    pub(crate) async fn wait_for_status(
        &self,
        task_id: &str,
        matches: impl Fn(&TaskSnapshot) -> bool,
    ) -> TaskSnapshot {
        with_timeout(self.taskcluster.wait_for(task_id, matches))
            .await
            .expect("an existing task")
    }

    /// Waits until a fault was injected at least `times` times.
    pub(crate) async fn wait_for_hits(&self, fault: &FaultHandle, times: u32) {
        wait_until(|| fault.hits() >= times).await;
    }

    /// Waits until another claim is sent.
    pub(crate) async fn wait_for_new_claim(&self) {
        let before = self.claims.hits();
        self.wait_for_hits(&self.claims, before + 1).await;
    }

    /// Waits until at least `times` claims were sent in total.
    pub(crate) async fn wait_for_claims(&self, times: u32) {
        self.wait_for_hits(&self.claims, times).await;
    }

    /// Returns the number of claims that were sent.
    pub(crate) fn claim_count(&self) -> u32 {
        self.claims.hits()
    }

    /// Returns the number of reclaims that were sent.
    pub(crate) fn reclaim_count(&self) -> u32 {
        self.reclaims.hits()
    }

    /// Waits until workers have resolved at least `runs` runs.
    pub(crate) async fn wait_for_reports(&self, runs: usize) {
        wait_until(|| self.reports.0.lock().len() >= runs).await;
    }

    pub(crate) fn reports(&self) -> Vec<TaskReport> {
        self.reports.0.lock().clone()
    }

    /// Returns the resolutions that workers reported.
    pub(crate) fn resolutions(&self) -> Vec<String> {
        let reports = self.reports();
        let resolutions = reports.iter().map(|report| report.resolution.to_string());
        resolutions.collect()
    }

    /// Quarantines the default worker.
    pub(crate) fn quarantine(&self, duration: Duration) {
        let worker_id = format!("worker-{}-0", std::process::id());
        self.taskcluster
            .quarantine_worker(TASK_QUEUE, "group", &worker_id, duration);
    }

    /// Returns the storage folder of the only worker.
    pub(crate) fn process_folder(&self) -> PathBuf {
        let names = self.leftover_files();
        assert_eq!(names.len(), 1, "expected one worker: {names:?}");
        self.folder.path().join(&names[0])
    }

    /// Reads a process id that a task has written to a marker.
    pub(crate) fn pid(&self, marker: &Path) -> u32 {
        let pid = std::fs::read_to_string(marker).expect("a marker with a process id");
        pid.trim().parse().expect("a number")
    }

    /// Asserts that workers and tasks have left no files, hooks and processes.
    pub(crate) fn assert_no_leftovers(&self) {
        assert_eq!(self.leftover_files(), [""; 0], "on disk");
        assert_eq!(self.hooks.attached(), 0, "hooks of {}", self.hooks.total());
        let folder = self.folder.path().as_os_str().as_encoded_bytes();
        let processes = processes_with_env(folder);
        assert_eq!(processes, [0; 0], "processes");
    }

    /// Returns the path of a file that signals the progress of a task, outside of the worker's folder.
    pub(crate) fn marker(&self, name: &str) -> PathBuf {
        self.markers.path().join(name)
    }

    /// Polls until another process has written a line to a file.
    pub(crate) async fn wait_for_file(&self, path: &Path) {
        with_timeout(async {
            while !std::fs::read_to_string(path).is_ok_and(|text| text.ends_with('\n')) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
    }

    /// Creates and runs a task. Returns its id and state, such as `completed` or `exception/canceled`.
    pub(crate) async fn run_task(&self, payload: Value) -> (String, String) {
        let task_id = self.create(payload);
        let running = self.start(self.worker());
        let status = self.resolved(&task_id).await;
        running.stop().await;
        (task_id, status.state_and_reason())
    }

    pub(crate) async fn log(&self, task_id: &str) -> String {
        self.text(task_id, "public/logs/live_backing.log").await
    }

    pub(crate) async fn text(&self, task_id: &str, artifact: &str) -> String {
        let text = self.taskcluster.read_artifact_text(task_id, artifact).await;
        text.expect("an artifact")
    }

    /// Returns the names of the files in the worker's folder, without the lock of the root.
    pub(crate) fn leftover_files(&self) -> Vec<String> {
        let mut names = self.entries("");
        names.retain(|name| name != ".lock");
        names
    }

    /// Returns the sorted file names of a folder below the worker's.
    pub(crate) fn entries(&self, folder: &str) -> Vec<String> {
        let folder = self.folder.path().join(folder);
        let entries = std::fs::read_dir(folder).expect("list the folder");
        let name = |entry: std::io::Result<std::fs::DirEntry>| entry.expect("readable").file_name();
        let mut names: Vec<_> = entries
            .map(|entry| name(entry).to_string_lossy().into_owned())
            .collect();
        names.sort_unstable();
        names
    }
}
