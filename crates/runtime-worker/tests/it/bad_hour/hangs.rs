//! An engine that hangs costs its task, and no other.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::{Condvar, Mutex};
use runtime_core::{StopStage, TaskError};
use runtime_worker::{
    Engine, Exit, ExtractError, Plugin, ResultSet, Sandbox, SandboxBuilder, TaskPlugin, TaskRun,
};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::support::{Bench, sh, state};

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
        bench.cancel(&cancelled);
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

/// A plugin that never disposes.
#[derive(Clone, Copy, Debug)]
struct Clingy;

#[async_trait]
impl Plugin for Clingy {
    fn name(&self) -> &'static str {
        "clingy"
    }

    async fn new_task_plugin(&self, _: &TaskRun) -> Result<Option<Box<dyn TaskPlugin>>, TaskError> {
        Ok(Some(Box::new(*self)))
    }
}

#[async_trait]
impl TaskPlugin for Clingy {
    async fn dispose(self: Box<Self>) {
        std::future::pending().await
    }
}

#[tokio::test]
async fn a_plugin_that_hangs_while_it_disposes_stops_the_worker_after_the_report() {
    let bench = Bench::new().await;
    let stop = bench.stop_by_worker();
    let task_id = bench.create(sh("true"));
    let worker = bench.worker_stopping(&stop).plugin(Clingy);
    bench.run_to_its_end(worker, &stop).await;
    assert_eq!(state(&bench.resolved(&task_id).await), "completed");
    assert_eq!(stop.stage(), StopStage::Graceful);
    bench.assert_nothing_is_left();
}

/// An engine whose tasks leave something that is removed once a word is said.
#[derive(Clone, Debug)]
struct Untidy {
    removing: Arc<Semaphore>,
    word: Arc<(Mutex<bool>, Condvar)>,
    is_heard: Arc<AtomicBool>,
}

#[async_trait]
impl Engine for Untidy {
    fn payload_schema(&self) -> Value {
        json!({ "type": "object", "properties": {} })
    }

    async fn new_sandbox_builder(&self, _: &TaskRun) -> Result<Box<dyn SandboxBuilder>, TaskError> {
        Ok(Box::new(self.clone()))
    }
}

#[async_trait]
impl SandboxBuilder for Untidy {
    async fn start(self: Box<Self>) -> Result<Arc<dyn Sandbox>, TaskError> {
        Ok(Arc::new(*self))
    }
}

#[async_trait]
impl Sandbox for Untidy {
    async fn wait(&self) -> Result<Arc<dyn ResultSet>, TaskError> {
        Ok(Arc::new(Left(self.clone())))
    }

    async fn kill(&self, _: Duration) {}
}

struct Left(Untidy);

#[async_trait]
impl ResultSet for Left {
    fn exit(&self) -> Exit {
        Exit::Code(0)
    }

    async fn extract(&self, path: &str) -> Result<PathBuf, ExtractError> {
        Err(ExtractError::Missing {
            path: path.to_owned(),
        })
    }
}

impl Drop for Left {
    fn drop(&mut self) {
        self.0.removing.add_permits(1);
        let (said, saying) = &*self.0.word;
        let mut said = said.lock();
        saying.wait_while_for(&mut said, |said| !*said, Duration::from_secs(30));
        self.0.is_heard.store(*said, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn an_engine_that_takes_long_to_remove_what_a_task_left_holds_up_nobody() {
    let bench = Bench::new().await;
    let engine = Untidy {
        removing: Arc::new(Semaphore::new(0)),
        word: Arc::default(),
        is_heard: Arc::default(),
    };
    let task_id = bench.create(json!({}));
    let running = bench.start(bench.worker_with(Arc::new(engine.clone())));
    assert_eq!(state(&bench.resolved(&task_id).await), "completed");
    let removing = engine.removing.acquire().await;
    removing.expect("it is never closed").forget();
    // Said on the only thread of the runtime, which is not to be the one that removes.
    *engine.word.0.lock() = true;
    engine.word.1.notify_all();
    bench.reported(1).await;
    running.stop().await;
    assert!(engine.is_heard.load(Ordering::SeqCst));
}
