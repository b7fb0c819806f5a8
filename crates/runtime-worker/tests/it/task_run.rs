//! The task run that engines and plugins receive: its monitor and its authorizer.

use std::sync::Arc;

use async_trait::async_trait;
use http::Method;
use parking_lot::Mutex;
use runtime_core::{RequestAuthorizer, SignError, TaskContext, TaskError};
use runtime_mocks::MockMonitor;
use runtime_mocks::taskcluster::TaskSnapshot;
use runtime_worker::{Engine, Plugin, SandboxBuilder, TaskPlugin, TaskRun};
use serde_json::{Value, json};

use crate::support::{BlockedTask, RECLAIM_AGE, TestBed, wait_until};

/// Uses the monitor of a run and keeps its context.
#[derive(Clone, Debug, Default)]
struct Probe(Arc<Mutex<Option<TaskContext>>>);

impl Probe {
    fn probe(&self, run: &TaskRun) {
        run.monitor().count("runs", 1);
        run.environment.monitor.info("hello");
        *self.0.lock() = Some(run.context.clone());
    }

    async fn context(&self) -> TaskContext {
        wait_until(|| self.0.lock().is_some()).await;
        self.0.lock().clone().expect("it was probed")
    }
}

#[async_trait]
impl Engine for Probe {
    fn name(&self) -> &'static str {
        "probe-engine"
    }

    fn payload_schema(&self) -> Value {
        json!({ "type": "object", "properties": {} })
    }

    async fn new_sandbox_builder(
        &self,
        run: &TaskRun,
    ) -> Result<Box<dyn SandboxBuilder>, TaskError> {
        self.probe(run);
        Err(TaskError::NonFatalInternal)
    }
}

#[async_trait]
impl Plugin for Probe {
    fn name(&self) -> &'static str {
        "probe-plugin"
    }

    async fn new_task_plugin(
        &self,
        run: &TaskRun,
    ) -> Result<Option<Box<dyn TaskPlugin>>, TaskError> {
        self.probe(run);
        Ok(None)
    }
}

#[tokio::test]
async fn monitors_have_the_name_as_prefix() {
    let bed = TestBed::new().await;
    let (monitor, recorded) = MockMonitor::new();
    let task_id = bed.create(json!({}));
    let worker = bed.worker_with_engine(Arc::new(Probe::default()), monitor);
    let running = bed.start(worker.plugin(Probe::default()));
    bed.resolved(&task_id).await;
    running.stop().await;
    for name in ["probe-plugin", "probe-engine"] {
        assert_eq!(recorded.counter(&format!("{name}.runs")), 1, "{name}");
        let lines = recorded.lines();
        let line = lines.iter().find(|line| line.prefix == name).expect(name);
        assert_eq!(line.tags["taskId"], task_id, "{name}");
    }
    assert_eq!(recorded.counter("tasks-resolved"), 1);
}

/// Returns the certificate and the authorized scopes, which differ per set of credentials.
fn ext(authorizer: &dyn RequestAuthorizer) -> String {
    let url = "https://tc.example.com/api/secrets/v1/secret/a";
    let header = authorizer.sign_header(&Method::GET, url, None);
    let header = header.expect("a connected task");
    let (_, ext) = header
        .to_str()
        .expect("text")
        .split_once("ext=")
        .expect("an ext");
    ext.split(',').next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn authorizer_follows_a_reclaim() {
    let bed = TestBed::new().await;
    let (task, probe) = (BlockedTask::create(&bed), Probe::default());
    let running = bed.start(bed.worker().plugin(probe.clone()));
    let authorizer = probe.context().await.authorizer();
    bed.wait_for_file(&task.started).await;
    let status = bed.taskcluster.status(&task.task_id);
    let claimed = status.expect("an existing task").runs[0].taken_until;
    let before = ext(&*authorizer);
    assert_eq!(ext(&*authorizer), before);
    bed.taskcluster.advance(RECLAIM_AGE);
    let is_renewed = |status: &TaskSnapshot| status.runs[0].taken_until > claimed;
    bed.wait_for_status(&task.task_id, is_renewed).await;
    wait_until(|| ext(&*authorizer) != before).await;
    task.release();
    bed.resolved(&task.task_id).await;
    running.stop().await;
}

#[tokio::test]
async fn authorizer_of_ended_task_is_an_error() {
    let bed = TestBed::new().await;
    let (task, probe) = (BlockedTask::create(&bed), Probe::default());
    let running = bed.start(bed.worker().plugin(probe.clone()));
    let context = probe.context().await;
    let authorizer = context.authorizer();
    ext(&*authorizer);
    task.release();
    bed.resolved(&task.task_id).await;
    running.stop().await;
    let sign = |authorizer: &dyn RequestAuthorizer| {
        authorizer
            .sign_url("https://tc.example.com", std::time::Duration::MAX)
            .expect_err("the task has ended")
    };
    assert!(matches!(sign(&*authorizer), SignError::NoCredentials));
    assert!(matches!(
        sign(&*context.authorizer()),
        SignError::NotConnected
    ));
}
