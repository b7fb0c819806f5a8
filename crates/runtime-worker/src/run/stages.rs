//! The stages of a task, from the payload check to the disposal of plugins.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use futures_util::future::try_join_all;
use runtime_core::{StopReason, TaskError, error_chain};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::budget::ShutdownBudget;
use super::catch_panic::catch_panic;
use crate::engine::{ResultSet, Sandbox};
use crate::observer::TaskEvent;
use crate::plugin::TaskPlugin;
use crate::resolution::{Resolution, Verdict};
use crate::shared::WorkerShared;
use crate::task_run::TaskRun;

/// The reason why a run has no verdict.
#[derive(Debug)]
pub(super) enum RunError {
    /// The task was stopped.
    Stopped(StopReason),
    /// A stage failed.
    Failed(TaskError),
}

/// The plugins and the sandbox of one task, as far as they have been created.
#[derive(Default)]
pub(super) struct Stages {
    plugins: Vec<Box<dyn TaskPlugin>>,
    sandbox: Option<Arc<dyn Sandbox>>,
    result: Option<Arc<dyn ResultSet>>,
}

impl Stages {
    /// Runs the task to a verdict, unless it is stopped. When it returns, the task has ended, unless its engine hangs.
    pub(super) async fn execute(
        &mut self,
        shared: &WorkerShared,
        run: &TaskRun,
        budget: ShutdownBudget<'_>,
    ) -> Result<Verdict, RunError> {
        let outcome = until_stopped(run, self.run_to_verdict(shared, run)).await;
        // After a failed stage too: the task may be running, for example if a plugin failed in `started`.
        if let (Err(_), Some(sandbox)) = (&outcome, &self.sandbox) {
            kill(&**sandbox, shared, run, budget).await;
        }
        outcome
    }

    /// Lets the plugins write their last lines to the log.
    pub(super) fn closing_log(&mut self, run: &TaskRun) {
        for plugin in &mut self.plugins {
            if catch_unwind(AssertUnwindSafe(|| plugin.closing_log())).is_err() {
                let monitor = run.monitor();
                monitor.error("a plugin panicked before the log was closed");
            }
        }
    }

    /// Notifies the plugins of a verdict before it is reported.
    pub(super) async fn finish(&mut self, run: &TaskRun, verdict: Verdict) -> Result<(), RunError> {
        let finish = async {
            for plugin in &mut self.plugins {
                plugin.finished(verdict).await?;
            }
            Ok(())
        };
        until_stopped(run, finish).await
    }

    /// Notifies the plugins that there is no verdict.
    ///
    /// Unlike in the stages before, an error or panic of one plugin does not skip the others: each may have resources
    /// to upload or to release, and the resolution is already decided.
    pub(super) async fn notify_exception(&mut self, run: &TaskRun, resolution: Resolution) {
        for plugin in &mut self.plugins {
            let result = catch_panic(plugin.exception(&resolution)).await;
            let Err(error) = result.and_then(|result| result) else {
                continue;
            };
            let monitor = run.monitor();
            if let Resolution::Abandoned(_) = resolution {
                // For a run that was lost, the queue may refuse uploads, so errors are expected.
                let error = error_chain(&error);
                monitor.debug(format_args!(
                    "a plugin failed after the run was lost: {error}"
                ));
            } else {
                monitor.report_warning(&error, "a plugin failed after an exception");
            }
        }
    }

    /// Releases the sandbox and the plugins.
    pub(super) async fn dispose(self, shared: &WorkerShared, run: &TaskRun) {
        let monitor = run.monitor();
        // A drop may remove a folder with millions of files. On this thread it would delay the reclaims of other tasks.
        let sandbox = (self.sandbox, self.result);
        if let Err(error) = spawn_blocking(move || drop(sandbox)).await {
            monitor.report_error(&error, "an engine failed to dispose");
        }
        for plugin in self.plugins {
            match timeout(shared.timing.hang_timeout, catch_panic(plugin.dispose())).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    monitor.report_error(&error, "a plugin failed to dispose");
                }
                Err(_) => {
                    // Its resources are still in use and would be missing for the next task.
                    monitor.error("a plugin hangs in dispose; stopping the worker");
                    run.environment.stop.stop_gracefully();
                }
            }
        }
    }

    async fn run_to_verdict(
        &mut self,
        shared: &WorkerShared,
        run: &TaskRun,
    ) -> Result<Verdict, TaskError> {
        self.create_plugins(shared, run).await?;
        // Concurrently, because fetches mostly wait for the network. The first error drops the others.
        try_join_all(self.plugins.iter_mut().map(|plugin| plugin.prepare())).await?;
        let sandbox = self.start(shared, run).await?;
        let result = sandbox.wait().await?;
        self.result = Some(Arc::clone(&result));
        run.report.set_exit(result.exit());
        let mut verdict = if result.exit().success() {
            Verdict::Success
        } else {
            Verdict::Failure
        };
        // A failed verdict skips no plugin: the artifacts of failed tasks are needed most.
        for plugin in &mut self.plugins {
            verdict = verdict.max(plugin.stopped(&result).await?);
        }
        Ok(verdict)
    }

    /// Creates the task's plugins. For a malformed payload it creates those that read no payload, such as the task
    /// log, so that the author of the task finds the error in the log.
    async fn create_plugins(
        &mut self,
        shared: &WorkerShared,
        run: &TaskRun,
    ) -> Result<(), TaskError> {
        let checked = shared.check_payload(run.payload());
        for plugin in &shared.plugins {
            if checked.is_ok() || plugin.payload_schema().is_none() {
                let run = run.with_prefix(plugin.name());
                self.plugins.extend(plugin.new_task_plugin(&run).await?);
            }
        }
        checked.map_err(TaskError::from)
    }

    async fn start(
        &mut self,
        shared: &WorkerShared,
        run: &TaskRun,
    ) -> Result<Arc<dyn Sandbox>, TaskError> {
        let engine = &shared.engine;
        let engine_run = run.with_prefix(engine.name());
        let mut builder = engine.new_sandbox_builder(&engine_run).await?;
        for plugin in &mut self.plugins {
            plugin.build_sandbox(&mut *builder).await?;
        }
        let sandbox = builder.start().await?;
        // Stored before the next await: a stop drops this future, and `execute` has to kill the sandbox then.
        self.sandbox = Some(Arc::clone(&sandbox));
        shared.notify(&TaskEvent::Started {
            run: run.context.run(),
        });
        for plugin in &mut self.plugins {
            plugin.started(&sandbox).await?;
        }
        Ok(sandbox)
    }
}

/// Runs `work` until the task is stopped, and turns a panic into an error.
async fn until_stopped<T>(
    run: &TaskRun,
    work: impl Future<Output = Result<T, TaskError>>,
) -> Result<T, RunError> {
    tokio::select! {
        // A stop wins over a result at the same moment: the result may be an error that the stop caused.
        biased;
        reason = run.context.stopped() => Err(RunError::Stopped(reason)),
        result = catch_panic(work) => result.and_then(|result| result).map_err(RunError::Failed),
    }
}

/// Kills a sandbox. An engine that hangs is given up, and the worker stops.
async fn kill(
    sandbox: &dyn Sandbox,
    shared: &WorkerShared,
    run: &TaskRun,
    budget: ShutdownBudget<'_>,
) {
    let within = budget.kill_timeout();
    let limit = within + shared.timing.hang_timeout;
    let killed = tokio::select! {
        killed = timeout(limit, catch_panic(sandbox.kill(within))) => killed.ok(),
        () = budget.exhausted() => None,
    };
    let monitor = run.monitor();
    match killed {
        Some(Ok(())) => {}
        Some(Err(error)) => {
            monitor.report_error(&error, "an engine failed to kill a task");
        }
        None => {
            monitor.error("an engine hangs while it kills a task; stopping the worker");
            run.environment.stop.stop_gracefully();
        }
    }
}
