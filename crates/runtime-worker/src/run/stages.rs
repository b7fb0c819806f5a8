//! The stages of a task, from the payload to the end of its process.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use futures_util::future::try_join_all;
use runtime_core::{StopReason, TaskError};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::budget::Budget;
use super::guard::guarded;
use crate::engine::{ResultSet, Sandbox};
use crate::worker::Blueprint;
use crate::{Resolution, TaskEvent, TaskPlugin, TaskRun, Verdict};

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
    plugins: Vec<Box<dyn TaskPlugin>>,
    sandbox: Option<Arc<dyn Sandbox>>,
    result: Option<Arc<dyn ResultSet>>,
}

impl Stages {
    /// Runs the task to a verdict, unless it is stopped. Nothing of it runs any more on return, unless
    /// its engine hangs.
    pub(super) async fn execute(
        &mut self,
        blueprint: &Blueprint,
        run: &TaskRun,
        budget: Budget<'_>,
    ) -> Result<Verdict, Halt> {
        let outcome = until_stopped(run, self.all(blueprint, run)).await;
        if let (Err(_), Some(sandbox)) = (&outcome, &self.sandbox) {
            end(&**sandbox, blueprint, run, budget).await;
        }
        outcome
    }

    /// Lets the plugins write their last lines.
    pub(super) fn closing_log(&mut self, run: &TaskRun) {
        for plugin in &mut self.plugins {
            let written = catch_unwind(AssertUnwindSafe(|| plugin.closing_log()));
            if written.is_err() {
                run.monitor()
                    .error("a plugin panicked before the log was closed");
            }
        }
    }

    /// Tells the plugins of a verdict before it is reported.
    pub(super) async fn finish(&mut self, run: &TaskRun, verdict: Verdict) -> Result<(), Halt> {
        let finish = async {
            for plugin in &mut self.plugins {
                plugin.finished(verdict).await?;
            }
            Ok(())
        };
        until_stopped(run, finish).await
    }

    /// Tells the plugins that there is no verdict. What one of them does keeps no other from hearing it.
    pub(super) async fn tell_exception(&mut self, run: &TaskRun, resolution: Resolution) {
        for plugin in &mut self.plugins {
            let told = guarded(plugin.exception(&resolution)).await;
            let Err(error) = told.and_then(|told| told) else {
                continue;
            };
            // After a loss nothing can be uploaded, and nobody need be told.
            match resolution {
                Resolution::Abandoned(_) => {
                    let error = runtime_core::error_chain(&error);
                    run.monitor()
                        .debug(format_args!("a plugin failed after the end: {error}"));
                }
                _ => drop(
                    run.monitor()
                        .report_warning(&error, "a plugin failed after an exception"),
                ),
            }
        }
    }

    /// Gives everything back.
    pub(super) async fn dispose(self, blueprint: &Blueprint, run: &TaskRun) {
        let of_engine = (self.sandbox, self.result);
        // Such as the folder of a task with very many files, whose removal must hold up no other task.
        if let Err(error) = spawn_blocking(move || drop(of_engine)).await {
            run.monitor()
                .report_error(&error, "an engine failed to dispose");
        }
        for plugin in self.plugins {
            match timeout(blueprint.timing.hang_timeout, guarded(plugin.dispose())).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    run.monitor()
                        .report_error(&error, "a plugin failed to dispose");
                }
                Err(_) => {
                    run.monitor()
                        .error("a plugin hangs while it disposes; the worker stops");
                    run.environment.stop.stop_gracefully();
                }
            }
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
        blueprint.tell(&TaskEvent::Started {
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

/// Ends early when the task is stopped, and makes an error of a panic.
async fn until_stopped<T>(
    run: &TaskRun,
    work: impl Future<Output = Result<T, TaskError>>,
) -> Result<T, Halt> {
    tokio::select! {
        biased;
        reason = run.context.stopped() => Err(Halt::Stopped(reason)),
        result = guarded(work) => result.and_then(|result| result).map_err(Halt::Failed),
    }
}

/// Ends a sandbox, but does not wait for ever for an engine that hangs.
async fn end(sandbox: &dyn Sandbox, blueprint: &Blueprint, run: &TaskRun, budget: Budget<'_>) {
    let within = budget.for_kill();
    let kill = timeout(
        within + blueprint.timing.hang_timeout,
        guarded(sandbox.kill(within)),
    );
    let ended = tokio::select! {
        ended = kill => ended.ok(),
        () = budget.is_spent() => None,
    };
    match ended {
        Some(Ok(())) => {}
        Some(Err(error)) => {
            run.monitor()
                .report_error(&error, "an engine failed to end a task");
        }
        None => {
            run.monitor()
                .error("an engine hangs while it ends a task; the worker stops");
            run.environment.stop.stop_gracefully();
        }
    }
}
