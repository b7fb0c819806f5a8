//! Basic runs: resolutions, logs and stages.

use std::sync::Arc;

use crate::support::{TestBed, sh};
use async_trait::async_trait;
use runtime_core::TaskError;
use runtime_mocks::MockMonitor;
use runtime_worker::{Engine, Plugin, SandboxBuilder, TaskPlugin, TaskRun};
use serde_json::{Value, json};

#[tokio::test]
async fn exit_code_zero_completes_the_task() {
    let bed = TestBed::new().await;
    let (task_id, state) = bed.run_task(sh("echo to-stdout; echo to-stderr >&2")).await;
    assert_eq!(state, "completed");
    let log = bed.log(&task_id).await;
    assert!(log.contains("\nto-stdout\nto-stderr\n"), "{log}");
    assert!(log.starts_with("[taskcluster 20"), "{log}");
    let live = bed.text(&task_id, "public/logs/live.log").await;
    assert_eq!(live, log, "live.log is a link to the backing log");
}

#[tokio::test]
async fn task_runs_in_a_span() {
    let bed = TestBed::new().await;
    let (monitor, recorded) = MockMonitor::new();
    let task_id = bed.create(sh("exit 0"));
    let running = bed.start(bed.worker_with_monitor(monitor));
    bed.resolved(&task_id).await;
    running.stop().await;
    let [span] = &recorded.spans()[..] else {
        panic!("expected one span, not {:?}", recorded.spans());
    };
    assert_eq!(span.name, "task");
    assert_eq!(span.tags["taskId"], task_id);
    assert_eq!(span.tags["runId"], "0");
}

#[tokio::test]
async fn nonzero_exit_code_fails_the_task() {
    let bed = TestBed::new().await;
    let (task_id, state) = bed.run_task(sh("exit 3")).await;
    assert_eq!(state, "failed");
    assert!(
        bed.log(&task_id)
            .await
            .contains("[taskcluster:error] Task ended with exit code 3\n")
    );
}

#[tokio::test]
async fn malformed_payload_lists_all_errors() {
    let bed = TestBed::new().await;
    let payload = json!({ "command": "echo", "maxRunTime": "soon", "artefacts": [] });
    let (task_id, state) = bed.run_task(payload).await;
    assert_eq!(state, "exception/malformed-payload");
    let log = bed.log(&task_id).await;
    for part in [
        "`payload.command`",
        "`payload.maxRunTime`",
        "unknown key `payload.artefacts`, did you mean `artifacts`?",
    ] {
        assert!(log.contains(part), "`{part}` not found in {log}");
    }
}

#[tokio::test]
async fn missing_command_is_reported() {
    let bed = TestBed::new().await;
    let (task_id, state) = bed.run_task(json!({})).await;
    assert_eq!(state, "exception/malformed-payload");
    assert!(
        bed.log(&task_id)
            .await
            .contains("missing key `payload.command`")
    );
}

#[tokio::test]
async fn retry_exit_code_uses_the_retries() {
    let bed = TestBed::new().await;
    let payload = json!({ "command": ["sh", "-c", "exit 75"], "onExitStatus": { "retry": [75] } });
    let task_id = bed.create_with(json!({ "payload": payload, "retries": 1 }));
    let running = bed.start(bed.worker());
    let status = bed.resolved(&task_id).await;
    running.stop().await;
    assert_eq!(status.state_and_reason(), "exception/intermittent-task");
    assert_eq!(status.runs.len(), 2);
}

#[tokio::test]
async fn max_run_time_fails_the_task() {
    let bed = TestBed::new().await;
    let payload = json!({ "command": ["sleep", "600"], "maxRunTime": 1 });
    let (task_id, state) = bed.run_task(payload).await;
    assert_eq!(state, "failed");
    assert!(
        bed.log(&task_id)
            .await
            .contains("Task ran longer than its maxRunTime of 1 seconds")
    );
}

#[tokio::test]
async fn cancelled_task_is_not_reported() {
    let bed = TestBed::new().await;
    let task_id = bed.create(sh("echo started; sleep 600"));
    let running = bed.start(bed.worker());
    bed.wait_until_claimed(&task_id).await;
    bed.cancel(&task_id);
    let status = bed.resolved(&task_id).await;
    running.stop().await;
    assert_eq!(status.state_and_reason(), "exception/canceled");
    assert_eq!(status.runs.len(), 1);
}

#[tokio::test]
async fn graceful_stop_lets_tasks_finish() {
    let bed = TestBed::new().await;
    let mark = bed.marker("started");
    let script = format!("echo > {}; sleep 0.5; echo done", mark.display());
    let task_id = bed.create(sh(&script));
    let running = bed.start(bed.worker());
    bed.wait_for_file(&mark).await;
    running.stop().await;
    assert_eq!(bed.resolved(&task_id).await.state_and_reason(), "completed");
}

#[tokio::test]
async fn immediate_stop_resolves_worker_shutdown() {
    let bed = TestBed::new().await;
    let task_id = bed.create(sh("sleep 600"));
    let running = bed.start(bed.worker());
    bed.wait_until_claimed(&task_id).await;
    running.stop_now().await;
    let status = bed.taskcluster.status(&task_id).expect("an existing task");
    assert_eq!(status.runs[0].reason_resolved, Some("worker-shutdown"));
    assert_eq!(status.runs.len(), 2, "the queue created another run");
}

#[tokio::test]
async fn concurrent_tasks_are_resolved_once() {
    let bed = TestBed::new().await;
    let tasks: Vec<_> = (0..12)
        .map(|n| bed.create(sh(&format!("echo {n}"))))
        .collect();
    let running = bed.start(bed.worker());
    for task_id in &tasks {
        let status = bed.resolved(task_id).await;
        assert_eq!(
            (status.state_and_reason().as_str(), status.runs.len()),
            ("completed", 1)
        );
    }
    running.stop().await;
}

#[tokio::test]
async fn task_files_are_removed() {
    let bed = TestBed::new().await;
    bed.run_task(sh("mkdir -p a/b; echo x > a/b/c; chmod 500 a/b; exit 1"))
        .await;
    assert_eq!(bed.leftover_files(), [""; 0]);
}

#[tokio::test]
async fn zero_capacity_is_rejected() {
    let bed = TestBed::new().await;
    let error = bed.worker().capacity(0).build().expect_err("capacity 0");
    assert!(error.to_string().contains("capacity 0"), "{error}");
}

#[tokio::test]
async fn conflicting_plugins_are_rejected() {
    let bed = TestBed::new().await;
    let worker = bed
        .worker()
        .plugin(runtime_worker::plugins::Artifacts::default());
    let error = worker.build().expect_err("both read `artifacts`");
    assert!(error.to_string().contains("payload.artifacts"), "{error}");
}

/// An engine that panics.
#[derive(Debug)]
struct PanickingEngine;

#[async_trait]
impl Engine for PanickingEngine {
    fn name(&self) -> &'static str {
        "panicking"
    }

    fn payload_schema(&self) -> Value {
        json!({ "type": "object", "properties": {} })
    }

    async fn new_sandbox_builder(&self, _: &TaskRun) -> Result<Box<dyn SandboxBuilder>, TaskError> {
        panic!("the engine broke")
    }
}

#[tokio::test]
async fn unsupported_plugin_fails_the_build() {
    let bed = TestBed::new().await;
    let worker = bed.worker_without_plugins(Arc::new(PanickingEngine));
    let error = worker
        .plugin(runtime_worker::plugins::TaskEnvVars)
        .build()
        .expect_err("the engine has no capabilities");
    let expected =
        "the plugin `environment` requires an engine that supports environment variables";
    assert!(error.to_string().starts_with(expected), "{error}");
}

#[tokio::test]
async fn exit_is_logged_without_a_verdict() {
    let bed = TestBed::new().await;
    let mut payload = sh("exit 0");
    payload["artifacts"] = json!([{ "path": "missing", "name": "public/a", "type": "file" }]);
    let (task_id, state) = bed.run_task(payload).await;
    assert_eq!(state, "failed");
    let log = bed.log(&task_id).await;
    assert!(log.contains("] Task ended with exit code 0\n"), "{log}");
    assert!(!log.contains("succeeded"), "{log}");
}

#[tokio::test]
async fn engine_panic_is_an_internal_error() {
    let bed = TestBed::new().await;
    let tasks = [bed.create(json!({})), bed.create(json!({}))];
    let running = bed.start(
        bed.worker_without_plugins(Arc::new(PanickingEngine))
            .plugin(runtime_worker::plugins::TaskLog::new()),
    );
    for task_id in &tasks {
        assert_eq!(
            bed.resolved(task_id).await.state_and_reason(),
            "exception/internal-error"
        );
        assert!(
            bed.log(task_id)
                .await
                .contains("[taskcluster:error] Internal error of the worker, incident ")
        );
    }
    running.stop().await;
}

/// A plugin that records the calls of its stages.
#[derive(Debug, Default)]
struct StageRecorder(Arc<parking_lot::Mutex<Vec<&'static str>>>);

struct TaskStageRecorder(Arc<parking_lot::Mutex<Vec<&'static str>>>);

#[async_trait]
impl Plugin for StageRecorder {
    fn name(&self) -> &'static str {
        "stage-recorder"
    }

    async fn new_task_plugin(&self, _: &TaskRun) -> Result<Option<Box<dyn TaskPlugin>>, TaskError> {
        Ok(Some(Box::new(TaskStageRecorder(Arc::clone(&self.0)))))
    }
}

#[async_trait]
impl TaskPlugin for TaskStageRecorder {
    async fn prepare(&mut self) -> Result<(), TaskError> {
        self.0.lock().push("prepare");
        Ok(())
    }

    async fn build_sandbox(&mut self, _: &mut dyn SandboxBuilder) -> Result<(), TaskError> {
        self.0.lock().push("build_sandbox");
        Ok(())
    }

    async fn started(&mut self, _: &Arc<dyn runtime_worker::Sandbox>) -> Result<(), TaskError> {
        self.0.lock().push("started");
        Ok(())
    }

    async fn stopped(
        &mut self,
        _: &Arc<dyn runtime_worker::ResultSet>,
    ) -> Result<runtime_worker::Verdict, TaskError> {
        self.0.lock().push("stopped");
        Ok(runtime_worker::Verdict::Success)
    }

    async fn finished(&mut self, _: runtime_worker::Verdict) -> Result<(), TaskError> {
        self.0.lock().push("finished");
        Ok(())
    }

    async fn exception(&mut self, _: &runtime_worker::Resolution) -> Result<(), TaskError> {
        self.0.lock().push("exception");
        Ok(())
    }

    async fn dispose(self: Box<Self>) {
        self.0.lock().push("dispose");
    }
}

#[tokio::test]
async fn stages_are_called_in_order() {
    let bed = TestBed::new().await;
    for (payload, expected) in [
        (
            sh("true"),
            &[
                "prepare",
                "build_sandbox",
                "started",
                "stopped",
                "finished",
                "dispose",
            ][..],
        ),
        (json!({}), &["exception", "dispose"][..]),
    ] {
        let stages = StageRecorder::default();
        let seen = Arc::clone(&stages.0);
        let task_id = bed.create(payload);
        let worker = bed.worker().plugin(stages).build().expect("a valid worker");
        let stop = runtime_core::LifeCycleTracker::new();
        let resolved = async {
            bed.resolved(&task_id).await;
            runtime_core::Stoppable::stop_gracefully(&stop);
        };
        tokio::join!(worker.run_until(&stop), resolved);
        assert_eq!(*seen.lock(), expected);
    }
}
