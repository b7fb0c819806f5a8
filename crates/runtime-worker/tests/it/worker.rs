//! Every task is resolved once, with the right reason, and leaves nothing behind.

use std::sync::Arc;

use crate::support::{Bench, sh, state};
use async_trait::async_trait;
use runtime_core::TaskError;
use runtime_mocks::MockMonitor;
use runtime_worker::{Engine, Plugin, SandboxBuilder, TaskPlugin, TaskRun};
use serde_json::{Value, json};

#[tokio::test]
async fn a_task_that_exits_with_0_is_completed_and_its_log_uploaded() {
    let bench = Bench::new().await;
    let (task_id, state) = bench
        .outcome(sh("echo to-stdout; echo to-stderr >&2"))
        .await;
    assert_eq!(state, "completed");
    let log = bench.log(&task_id).await;
    assert!(log.contains("\nto-stdout\nto-stderr\n"), "{log}");
    assert!(log.starts_with("[taskcluster 20"), "{log}");
    let live = bench.text(&task_id, "public/logs/live.log").await;
    assert_eq!(live, log, "live.log is a link to the backing log");
}

#[tokio::test]
async fn a_task_runs_in_a_span_that_names_it() {
    let bench = Bench::new().await;
    let (monitor, told) = MockMonitor::new();
    let task_id = bench.create(sh("exit 0"));
    let running = bench.start(bench.worker_that_tells(monitor));
    bench.resolved(&task_id).await;
    running.stop().await;
    let [span] = &told.spans()[..] else {
        panic!("one span for one task, not {:?}", told.spans());
    };
    assert_eq!(span.name, "task");
    assert_eq!(span.tags["taskId"], task_id);
    assert_eq!(span.tags["runId"], "0");
}

#[tokio::test]
async fn a_task_that_exits_with_another_code_has_failed() {
    let bench = Bench::new().await;
    let (task_id, state) = bench.outcome(sh("exit 3")).await;
    assert_eq!(state, "failed");
    assert!(
        bench
            .log(&task_id)
            .await
            .contains("[taskcluster:error] Task ended with exit code 3\n")
    );
}

#[tokio::test]
async fn a_malformed_payload_gets_every_error_with_its_path() {
    let bench = Bench::new().await;
    let payload = json!({ "command": "echo", "maxRunTime": "soon", "artefacts": [] });
    let (task_id, state) = bench.outcome(payload).await;
    assert_eq!(state, "exception/malformed-payload");
    let log = bench.log(&task_id).await;
    for part in ["`payload.command`", "`payload.maxRunTime`", "artefacts"] {
        assert!(log.contains(part), "{part} is missing in {log}");
    }
}

#[tokio::test]
async fn a_missing_command_is_named() {
    let bench = Bench::new().await;
    let (task_id, state) = bench.outcome(json!({})).await;
    assert_eq!(state, "exception/malformed-payload");
    assert!(
        bench
            .log(&task_id)
            .await
            .contains("\"command\" is a required property")
    );
}

#[tokio::test]
async fn an_exit_code_to_retry_is_run_again_while_retries_are_left() {
    let bench = Bench::new().await;
    let payload = json!({ "command": ["sh", "-c", "exit 75"], "onExitStatus": { "retry": [75] } });
    let task_id = bench.create_with(json!({ "payload": payload, "retries": 1 }));
    let running = bench.start(bench.worker());
    let status = bench.resolved(&task_id).await;
    running.stop().await;
    assert_eq!(state(&status), "exception/intermittent-task");
    assert_eq!(status.runs.len(), 2);
}

#[tokio::test]
async fn a_task_that_runs_too_long_is_ended_and_fails() {
    let bench = Bench::new().await;
    let payload = json!({ "command": ["sleep", "600"], "maxRunTime": 1 });
    let (task_id, state) = bench.outcome(payload).await;
    assert_eq!(state, "failed");
    assert!(
        bench
            .log(&task_id)
            .await
            .contains("Task ran longer than its maxRunTime of 1 seconds")
    );
}

#[tokio::test]
async fn a_cancelled_task_is_ended_and_nothing_reported() {
    let bench = Bench::new().await;
    let task_id = bench.create(sh("echo started; sleep 600"));
    let running = bench.start(bench.worker());
    bench.running(&task_id).await;
    bench.cancel(&task_id);
    let status = bench.resolved(&task_id).await;
    running.stop().await;
    assert_eq!(state(&status), "exception/canceled");
    assert_eq!(status.runs.len(), 1);
}

#[tokio::test]
async fn a_graceful_stop_lets_a_running_task_finish() {
    let bench = Bench::new().await;
    let mark = bench.mark("started");
    let script = format!("echo > {}; sleep 0.5; echo done", mark.display());
    let task_id = bench.create(sh(&script));
    let running = bench.start(bench.worker());
    bench.file_appears(&mark).await;
    running.stop().await;
    assert_eq!(state(&bench.resolved(&task_id).await), "completed");
}

#[tokio::test]
async fn an_immediate_stop_resolves_worker_shutdown_and_the_queue_retries() {
    let bench = Bench::new().await;
    let task_id = bench.create(sh("sleep 600"));
    let running = bench.start(bench.worker());
    bench.running(&task_id).await;
    running.stop_now().await;
    let status = bench.taskcluster.status(&task_id).expect("the task exists");
    assert_eq!(status.runs[0].reason_resolved, Some("worker-shutdown"));
    assert_eq!(status.runs.len(), 2, "the queue made another run");
}

#[tokio::test]
async fn many_tasks_run_at_once_and_each_is_resolved_once() {
    let bench = Bench::new().await;
    let tasks: Vec<_> = (0..12)
        .map(|n| bench.create(sh(&format!("echo {n}"))))
        .collect();
    let running = bench.start(bench.worker());
    for task_id in &tasks {
        let status = bench.resolved(task_id).await;
        assert_eq!(
            (state(&status).as_str(), status.runs.len()),
            ("completed", 1)
        );
    }
    running.stop().await;
}

#[tokio::test]
async fn nothing_is_left_behind() {
    let bench = Bench::new().await;
    bench
        .outcome(sh("mkdir -p a/b; echo x > a/b/c; chmod 500 a/b; exit 1"))
        .await;
    assert_eq!(bench.left_behind(), [""; 0]);
}

#[tokio::test]
async fn a_worker_without_capacity_is_refused() {
    let bench = Bench::new().await;
    let error = bench
        .worker()
        .capacity(0)
        .build()
        .expect_err("it could run nothing");
    assert!(error.to_string().contains("capacity 0"), "{error}");
}

#[tokio::test]
async fn two_plugins_for_one_property_are_refused_by_name() {
    let bench = Bench::new().await;
    let worker = bench.worker().plugin(runtime_worker::plugins::Artifacts);
    let error = worker.build().expect_err("both read `artifacts`");
    assert!(error.to_string().contains("payload.artifacts"), "{error}");
}

/// An engine that panics.
#[derive(Debug)]
struct Panics;

#[async_trait]
impl Engine for Panics {
    fn payload_schema(&self) -> Value {
        json!({ "type": "object", "properties": {} })
    }

    async fn new_sandbox_builder(&self, _: &TaskRun) -> Result<Box<dyn SandboxBuilder>, TaskError> {
        panic!("the engine broke")
    }
}

#[tokio::test]
async fn a_panic_in_the_engine_is_an_internal_error_of_that_task_alone() {
    let bench = Bench::new().await;
    let tasks = [bench.create(json!({})), bench.create(json!({}))];
    let running = bench.start(
        bench
            .worker_with(Arc::new(Panics))
            .plugin(runtime_worker::plugins::TaskLog::new()),
    );
    for task_id in &tasks {
        assert_eq!(
            state(&bench.resolved(task_id).await),
            "exception/internal-error"
        );
        assert!(
            bench
                .log(task_id)
                .await
                .contains("[taskcluster:error] Internal error of the worker, incident ")
        );
    }
    running.stop().await;
}

/// A plugin that says how far it got.
#[derive(Debug, Default)]
struct Stages(Arc<parking_lot::Mutex<Vec<&'static str>>>);

struct TaskStages(Arc<parking_lot::Mutex<Vec<&'static str>>>);

#[async_trait]
impl Plugin for Stages {
    fn name(&self) -> &'static str {
        "stages"
    }

    async fn new_task_plugin(&self, _: &TaskRun) -> Result<Option<Box<dyn TaskPlugin>>, TaskError> {
        Ok(Some(Box::new(TaskStages(Arc::clone(&self.0)))))
    }
}

#[async_trait]
impl TaskPlugin for TaskStages {
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
async fn stages_come_in_order_and_an_exception_skips_to_the_end() {
    let bench = Bench::new().await;
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
        let stages = Stages::default();
        let seen = Arc::clone(&stages.0);
        let task_id = bench.create(payload);
        let worker = bench
            .worker()
            .plugin(stages)
            .build()
            .expect("the parts fit together");
        let stop = runtime_core::LifeCycleTracker::new();
        let resolved = async {
            bench.resolved(&task_id).await;
            runtime_core::Stoppable::stop_gracefully(&stop);
        };
        tokio::join!(worker.run_until(&stop), resolved);
        assert_eq!(*seen.lock(), expected);
    }
}
