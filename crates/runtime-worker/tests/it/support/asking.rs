//! What tests do to a worker and a Taskcluster, and what they ask of them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use runtime_core::LifeCycleTracker;
use runtime_mocks::taskcluster::{InjectedFault, TaskSnapshot};
use runtime_worker::WorkerBuilder;
use runtime_worker::report::TaskReport;
use serde_json::{Value, json};

use super::{Bench, QUEUE, Running, processes_with, state, until, within_a_minute};

/// What tests do and ask.
impl Bench {
    pub(crate) fn start(&self, worker: WorkerBuilder) -> Running {
        let worker = worker.build().expect("the parts fit together");
        let stop = LifeCycleTracker::new();
        let tracker = stop.clone();
        let worker = tokio::spawn(async move { worker.run_until(&tracker).await });
        Running { stop, worker }
    }

    /// Runs a worker that will stop by itself.
    pub(crate) async fn run_to_its_end(&self, worker: WorkerBuilder, stop: &LifeCycleTracker) {
        let worker = worker.build().expect("the parts fit together");
        within_a_minute(worker.run_until(stop)).await;
    }

    pub(crate) fn create(&self, payload: Value) -> String {
        self.create_with(json!({ "payload": payload }))
    }

    pub(crate) fn create_with(&self, mut definition: Value) -> String {
        definition["taskQueueId"] = json!(QUEUE);
        self.taskcluster
            .create_task(definition)
            .expect("a valid definition")
    }

    /// Cancels a task that is not resolved yet.
    pub(crate) fn cancel(&self, task_id: &str) {
        let cancelled = self.taskcluster.cancel_task(task_id);
        cancelled.expect("the task is there and not resolved");
    }

    pub(crate) async fn resolved(&self, task_id: &str) -> TaskSnapshot {
        let resolved = self
            .taskcluster
            .wait_for(task_id, |status| status.state.is_resolved());
        within_a_minute(resolved).await.expect("the task exists")
    }

    pub(crate) async fn running(&self, task_id: &str) {
        let is_claimed = |status: &TaskSnapshot| {
            status
                .runs
                .last()
                .is_some_and(|run| run.worker_id.is_some())
        };
        within_a_minute(self.taskcluster.wait_for(task_id, is_claimed))
            .await
            .expect("the task exists");
    }

    /// Waits until the status of a task is as wanted.
    pub(crate) async fn until(
        &self,
        task_id: &str,
        wanted: impl Fn(&TaskSnapshot) -> bool,
    ) -> TaskSnapshot {
        within_a_minute(self.taskcluster.wait_for(task_id, wanted))
            .await
            .expect("the task exists")
    }

    /// Waits until a fault has struck so often.
    pub(crate) async fn hit(&self, fault: &InjectedFault, times: u32) {
        until(|| fault.hits() >= times).await;
    }

    /// Waits until one more claim was sent.
    pub(crate) async fn claiming(&self) {
        let before = self.claims.hits();
        self.hit(&self.claims, before + 1).await;
    }

    /// Waits until so many claims were sent since the beginning.
    pub(crate) async fn claims(&self, times: u32) {
        self.hit(&self.claims, times).await;
    }

    /// How many claims were sent.
    pub(crate) fn claims_so_far(&self) -> u32 {
        self.claims.hits()
    }

    /// How often claims were extended, or tried to be.
    pub(crate) fn reclaims(&self) -> u32 {
        self.reclaims.hits()
    }

    /// Waits until workers are done with so many runs.
    pub(crate) async fn reported(&self, runs: usize) {
        until(|| self.reports.0.lock().len() >= runs).await;
    }

    pub(crate) fn reports(&self) -> Vec<TaskReport> {
        self.reports.0.lock().clone()
    }

    /// How runs ended by the account of their workers.
    pub(crate) fn resolutions(&self) -> Vec<String> {
        let reports = self.reports();
        let resolutions = reports.iter().map(|report| report.resolution.to_string());
        resolutions.collect()
    }

    /// Keeps the worker of most tests from getting tasks.
    pub(crate) fn quarantine(&self, how_long: Duration) {
        let worker_id = format!("worker-{}-0", std::process::id());
        self.taskcluster
            .quarantine_worker(QUEUE, "group", &worker_id, how_long);
    }

    /// Where the one worker keeps its files.
    pub(crate) fn run_folder(&self) -> PathBuf {
        let names = self.left_behind();
        assert_eq!(names.len(), 1, "there is one worker: {names:?}");
        self.folder.path().join(&names[0])
    }

    pub(crate) fn pid(&self, mark: &Path) -> u32 {
        let pid = std::fs::read_to_string(mark).expect("the task told its process id");
        pid.trim().parse().expect("it is a number")
    }

    /// Nothing on disk, no hook, no process.
    pub(crate) fn assert_nothing_is_left(&self) {
        assert_eq!(self.left_behind(), [""; 0], "on disk");
        assert_eq!(self.hooks.attached(), 0, "hooks of {}", self.hooks.ever());
        let folder = self.folder.path().as_os_str().as_encoded_bytes();
        let strays = processes_with(folder);
        assert_eq!(strays, [0; 0], "processes");
    }

    /// A file that a task may make to tell how far it is; outside of the worker's folder.
    pub(crate) fn mark(&self, name: &str) -> PathBuf {
        self.marks.path().join(name)
    }

    /// Another process makes the file, so that there is nothing to wait on but the file itself.
    pub(crate) async fn file_appears(&self, path: &Path) {
        within_a_minute(async {
            while !std::fs::read_to_string(path).is_ok_and(|text| text.ends_with('\n')) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
    }

    /// Creates a task, runs it, and gives how it ended, such as `completed` or `exception/canceled`.
    pub(crate) async fn outcome(&self, payload: Value) -> (String, String) {
        let task_id = self.create(payload);
        let running = self.start(self.worker());
        let status = self.resolved(&task_id).await;
        running.stop().await;
        (task_id, state(&status))
    }

    pub(crate) async fn log(&self, task_id: &str) -> String {
        self.text(task_id, "public/logs/live_backing.log").await
    }

    pub(crate) async fn text(&self, task_id: &str, artifact: &str) -> String {
        let stored = self
            .taskcluster
            .read_artifact(task_id, artifact)
            .await
            .expect("the artifact is there");
        String::from_utf8(stored.decoded().expect("valid gzip").to_vec()).expect("it is text")
    }

    /// What is in the worker's folder, but for the lock of the root.
    pub(crate) fn left_behind(&self) -> Vec<String> {
        let mut names = self.entries("");
        names.retain(|name| name != ".lock");
        names
    }

    /// What is in a folder below the worker's, by name.
    pub(crate) fn entries(&self, folder: &str) -> Vec<String> {
        let folder = self.folder.path().join(folder);
        let entries = std::fs::read_dir(folder).expect("the folder is there");
        let name =
            |entry: std::io::Result<std::fs::DirEntry>| entry.expect("it is readable").file_name();
        let mut names: Vec<_> = entries
            .map(|entry| name(entry).to_string_lossy().into_owned())
            .collect();
        names.sort_unstable();
        names
    }
}
