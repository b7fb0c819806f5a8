//! The stages of a task, from the payload to the end of its process.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::try_join_all;
use runtime_core::{StopReason, TaskError};

use crate::engine::{ResultSet, Sandbox};
use crate::worker::Blueprint;
use crate::{TaskEvent, TaskPlugin, TaskRun, Verdict};

/// Why the stages ended before there was a verdict.
#[derive(Debug)]
pub(super) enum Halt {
    /// The task was stopped.
    Stopped(StopReason),
    /// A stage failed.
    Failed(TaskError),
}

/// What the stages have made so far.
#[derive(Default)]
pub(super) struct Stages {
    pub(super) plugins: Vec<Box<dyn TaskPlugin>>,
    sandbox: Option<Arc<dyn Sandbox>>,
    result: Option<Arc<dyn ResultSet>>,
}

impl Stages {
    /// Runs the task to a verdict, unless it is stopped. Nothing of it runs any more on return.
    pub(super) async fn execute(
        &mut self,
        blueprint: &Blueprint,
        run: &TaskRun,
    ) -> Result<Verdict, Halt> {
        let outcome = self
            .guard(run, async |stages: &mut Self| {
                stages.all(blueprint, run).await
            })
            .await;
        if let (Err(_), Some(sandbox)) = (&outcome, &self.sandbox) {
            sandbox.kill().await;
        }
        outcome
    }

    /// Tells the plugins of a verdict before it is reported.
    pub(super) async fn finish(&mut self, run: &TaskRun, verdict: Verdict) -> Result<(), Halt> {
        let finish = async |stages: &mut Self| {
            for plugin in &mut stages.plugins {
                plugin.finished(verdict).await?;
            }
            Ok(())
        };
        self.guard(run, finish).await
    }

    /// Gives everything back.
    pub(super) async fn dispose(self) {
        drop((self.sandbox, self.result));
        for plugin in self.plugins {
            plugin.dispose().await;
        }
    }

    /// Ends early when the task is stopped, and makes an error of a panic.
    async fn guard<T>(
        &mut self,
        run: &TaskRun,
        work: impl AsyncFnOnce(&mut Self) -> Result<T, TaskError>,
    ) -> Result<T, Halt> {
        let work = AssertUnwindSafe(work(self)).catch_unwind();
        tokio::select! {
            biased;
            reason = run.context.stopped() => Err(Halt::Stopped(reason)),
            result = work => match result {
                Ok(result) => result.map_err(Halt::Failed),
                Err(panic) => Err(Halt::Failed(TaskError::Other(panic_message(&*panic).into()))),
            },
        }
    }

    async fn all(&mut self, blueprint: &Blueprint, run: &TaskRun) -> Result<Verdict, TaskError> {
        let malformed = blueprint.check(run.payload()).err();
        for plugin in &blueprint.plugins {
            // Those that read nothing of the payload, such as the one for the log, follow the task all the same.
            if malformed.is_none() || plugin.payload_schema().is_none() {
                self.plugins.extend(plugin.new_task_plugin(run).await?);
            }
        }
        if let Some(error) = malformed {
            return Err(error.into());
        }
        try_join_all(self.plugins.iter_mut().map(|plugin| plugin.prepare())).await?;

        let mut builder = blueprint.engine.new_sandbox_builder(run).await?;
        for plugin in &mut self.plugins {
            plugin.build_sandbox(&mut *builder).await?;
        }
        let sandbox = builder.start().await?;
        self.sandbox = Some(Arc::clone(&sandbox));
        blueprint.observer.event(&TaskEvent::Started {
            run: run.context.run(),
        });
        for plugin in &mut self.plugins {
            plugin.started(&sandbox).await?;
        }

        let result = sandbox.wait().await?;
        self.result = Some(Arc::clone(&result));
        run.record.set_exit(result.exit());
        let mut verdict = if result.exit().success() {
            Verdict::Success
        } else {
            Verdict::Failure
        };
        for plugin in &mut self.plugins {
            verdict = verdict.max(plugin.stopped(&result).await?);
        }
        Ok(verdict)
    }
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or(panic.downcast_ref::<String>().map(String::as_str));
    format!(
        "engine or plugin panicked: {}",
        text.unwrap_or("without a message")
    )
}
