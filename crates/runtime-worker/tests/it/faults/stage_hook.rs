//! A plugin that blocks or panics at a stage of a task.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use runtime_core::TaskError;
use runtime_worker::{
    Plugin, Resolution, ResultSet, Sandbox, SandboxBuilder, TaskPlugin, TaskRun, Verdict,
};
use tokio::sync::Semaphore;

/// The stages of a task, in order.
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

/// The action at the stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StageAction {
    /// Blocks until the stage is dropped.
    Block,
    /// Panics.
    Panic,
    /// Continues.
    Continue,
}

/// Performs an action at one stage of every task.
#[derive(Clone, Debug)]
pub(super) struct StageHook {
    stage: Stage,
    action: StageAction,
    reached: Arc<Semaphore>,
    disposed: Arc<Semaphore>,
}

impl StageHook {
    pub(super) fn new(stage: Stage, action: StageAction) -> Self {
        Self {
            stage,
            action,
            reached: Arc::new(Semaphore::new(0)),
            disposed: Arc::new(Semaphore::new(0)),
        }
    }

    /// Waits until a task has reached the stage.
    pub(super) async fn reached(&self) {
        let reached = tokio::time::timeout(Duration::from_secs(60), self.reached.acquire()).await;
        let reached = reached.expect("a task reaches the stage");
        reached.expect("an open semaphore").forget();
    }

    /// Returns the number of disposed task plugins.
    pub(super) fn disposed(&self) -> usize {
        self.disposed.available_permits()
    }

    async fn at(&self, stage: Stage) {
        if stage != self.stage {
            return;
        }
        self.reached.add_permits(1);
        match self.action {
            StageAction::Block => std::future::pending().await,
            StageAction::Panic => panic!("test panic at {stage:?}"),
            StageAction::Continue => {}
        }
    }
}

#[async_trait]
impl Plugin for StageHook {
    fn name(&self) -> &'static str {
        "stage-hook"
    }

    async fn new_task_plugin(&self, _: &TaskRun) -> Result<Option<Box<dyn TaskPlugin>>, TaskError> {
        self.at(Stage::New).await;
        Ok(Some(Box::new(self.clone())))
    }
}

#[async_trait]
impl TaskPlugin for StageHook {
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
