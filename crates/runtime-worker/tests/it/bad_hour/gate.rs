//! A plugin that stands still at a stage, so that something can happen to the task there.

use std::sync::Arc;

use async_trait::async_trait;
use runtime_core::TaskError;
use runtime_worker::{
    Plugin, Resolution, ResultSet, Sandbox, SandboxBuilder, TaskPlugin, TaskRun, Verdict,
};
use tokio::sync::Semaphore;

/// A stage of a task, in the order in which they come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    New,
    Prepare,
    Build,
    Started,
    Stopped,
    Finished,
}

pub(super) const STAGES: [Stage; 6] = [
    Stage::New,
    Stage::Prepare,
    Stage::Build,
    Stage::Started,
    Stage::Stopped,
    Stage::Finished,
];

/// What happens at the stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// Stands still, and tells that it does.
    Stand,
    /// Panics.
    Panic,
    /// Goes on.
    Pass,
}

/// Acts at a stage of every task.
#[derive(Clone, Debug)]
pub(super) struct Gate {
    stage: Stage,
    act: Act,
    reached: Arc<Semaphore>,
    disposed: Arc<Semaphore>,
}

impl Gate {
    pub(super) fn new(stage: Stage, act: Act) -> Self {
        Self {
            stage,
            act,
            reached: Arc::new(Semaphore::new(0)),
            disposed: Arc::new(Semaphore::new(0)),
        }
    }

    /// Waits until a task is at the stage.
    pub(super) async fn reached(&self) {
        self.reached
            .acquire()
            .await
            .expect("it is never closed")
            .forget();
    }

    /// How many tasks were disposed of.
    pub(super) fn disposed(&self) -> usize {
        self.disposed.available_permits()
    }

    async fn at(&self, stage: Stage) {
        if stage != self.stage {
            return;
        }
        self.reached.add_permits(1);
        match self.act {
            Act::Stand => std::future::pending().await,
            Act::Panic => panic!("it breaks at {stage:?}"),
            Act::Pass => {}
        }
    }
}

#[async_trait]
impl Plugin for Gate {
    fn name(&self) -> &'static str {
        "gate"
    }

    async fn new_task_plugin(&self, _: &TaskRun) -> Result<Option<Box<dyn TaskPlugin>>, TaskError> {
        self.at(Stage::New).await;
        Ok(Some(Box::new(self.clone())))
    }
}

#[async_trait]
impl TaskPlugin for Gate {
    async fn prepare(&mut self) -> Result<(), TaskError> {
        self.at(Stage::Prepare).await;
        Ok(())
    }

    async fn build_sandbox(&mut self, _: &mut dyn SandboxBuilder) -> Result<(), TaskError> {
        self.at(Stage::Build).await;
        Ok(())
    }

    async fn started(&mut self, _: &Arc<dyn Sandbox>) -> Result<(), TaskError> {
        self.at(Stage::Started).await;
        Ok(())
    }

    async fn stopped(&mut self, _: &Arc<dyn ResultSet>) -> Result<Verdict, TaskError> {
        self.at(Stage::Stopped).await;
        Ok(Verdict::Success)
    }

    async fn finished(&mut self, _: Verdict) -> Result<(), TaskError> {
        self.at(Stage::Finished).await;
        Ok(())
    }

    async fn exception(&mut self, _: &Resolution) -> Result<(), TaskError> {
        Ok(())
    }

    async fn dispose(self: Box<Self>) {
        self.disposed.add_permits(1);
    }
}
