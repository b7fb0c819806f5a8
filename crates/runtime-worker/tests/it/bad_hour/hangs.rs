//! An engine that hangs costs its task, and no other.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use runtime_core::{StopStage, TaskError};
use runtime_worker::{Engine, ResultSet, Sandbox, SandboxBuilder, TaskRun};
use serde_json::{Value, json};

use crate::support::{Bench, state};

/// An engine that does not answer, and where it does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hangs {
    Builder,
    Start,
    Kill,
}

#[async_trait]
impl Engine for Hangs {
    fn payload_schema(&self) -> Value {
        json!({ "type": "object", "properties": {} })
    }

    async fn new_sandbox_builder(&self, _: &TaskRun) -> Result<Box<dyn SandboxBuilder>, TaskError> {
        if *self == Self::Builder {
            std::future::pending::<()>().await;
        }
        Ok(Box::new(*self))
    }
}

#[async_trait]
impl SandboxBuilder for Hangs {
    async fn start(self: Box<Self>) -> Result<Arc<dyn Sandbox>, TaskError> {
        if *self == Self::Start {
            std::future::pending::<()>().await;
        }
        Ok(Arc::new(*self))
    }
}

#[async_trait]
impl Sandbox for Hangs {
    async fn wait(&self) -> Result<Arc<dyn ResultSet>, TaskError> {
        std::future::pending().await
    }

    async fn kill(&self, _: Duration) {
        std::future::pending::<()>().await;
    }
}

#[tokio::test]
async fn a_task_whose_engine_hangs_can_be_cancelled_and_given_back() {
    for engine in [Hangs::Builder, Hangs::Start, Hangs::Kill] {
        let bench = Bench::new().await;
        let (cancelled, given_back) = (bench.create(json!({})), bench.create(json!({})));
        let stop = bench.stop_by_worker();
        let running = bench.start(bench.worker_with_engine(Arc::new(engine), &stop));
        bench.running(&cancelled).await;
        bench.running(&given_back).await;
        bench
            .taskcluster
            .cancel_task(&cancelled)
            .expect("the task exists");
        bench.reported(1).await;
        running.stop_now().await;
        assert_eq!(
            state(&bench.resolved(&cancelled).await),
            "exception/canceled"
        );
        let status = bench
            .taskcluster
            .status(&given_back)
            .expect("the task exists");
        assert_eq!(
            status.runs[0].reason_resolved,
            Some("worker-shutdown"),
            "{engine:?}"
        );
        let expected = match engine {
            Hangs::Kill => StopStage::Graceful,
            Hangs::Builder | Hangs::Start => StopStage::Running,
        };
        assert_eq!(
            stop.stage(),
            expected,
            "a worker whose engine does not end tasks stops"
        );
        bench.assert_nothing_is_left();
    }
}
