//! The stages of a task, from the payload check to the disposal of plugins.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use runtime_core::monitor::{traced, traced_with};
use runtime_core::{StopReason, TaskError, error_chain};
use tokio::task::spawn;
use tokio::time::timeout;

use super::budget::ShutdownBudget;
use super::guarded_sandbox::GuardedSandbox;
use super::plugin_sandbox_builder::{PluginSandboxBuilder, PluginVariables};
use crate::engine::{ResultSet, Sandbox};
use crate::foreign_call::{catch_panic, foreign_call};
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
pub(super) struct RunStages {
    plugins: Vec<NamedPlugin>,
    /// The time that each stage of the engine or a plugin may take.
    stage_timeout: Duration,
    sandbox: Option<Arc<GuardedSandbox>>,
    result: Option<Arc<dyn ResultSet>>,
}

/// A plugin of the task, with the name of its factory.
struct NamedPlugin {
    name: &'static str,
    plugin: Box<dyn TaskPlugin>,
}

/// The name of the engine in errors.
const ENGINE: &str = "engine";

impl RunStages {
    pub(super) fn new(stage_timeout: Duration) -> Self {
        Self {
            plugins: Vec::new(),
            stage_timeout,
            sandbox: None,
            result: None,
        }
    }

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
            kill(sandbox, run, budget).await;
        }
        outcome
    }

    /// Lets the plugins write their last lines to the log.
    pub(super) fn closing_log(&mut self, run: &TaskRun) {
        for NamedPlugin { name, plugin } in &mut self.plugins {
            if catch_unwind(AssertUnwindSafe(|| plugin.closing_log())).is_err() {
                let monitor = run.monitor();
                monitor.error(format_args!("plugin `{name}` panicked in `closing_log`"));
            }
        }
    }

    /// Notifies the plugins of a verdict before it is reported.
    pub(super) async fn finish(&mut self, run: &TaskRun, verdict: Verdict) -> Result<(), RunError> {
        let finish = async {
            let limit = self.stage_timeout;
            for NamedPlugin { name, plugin } in &mut self.plugins {
                foreign_call(name, "finished", limit, plugin.finished(verdict)).await?;
            }
            Ok(())
        };
        until_stopped(run, traced("finished", Vec::new, finish)).await
    }

    /// Notifies the plugins that there is no verdict.
    ///
    /// Unlike in the stages before, an error or panic of one plugin does not skip the others: each may have resources
    /// to upload or to release, and the resolution is already decided.
    pub(super) async fn notify_exception(&mut self, run: &TaskRun, resolution: Resolution) {
        let limit = self.stage_timeout;
        for NamedPlugin { name, plugin } in &mut self.plugins {
            let notified = foreign_call(name, "exception", limit, plugin.exception(&resolution));
            let Err(error) = notified.await else {
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
        // Before the plugins: the sandbox may still use the folders and proxies that they have
        // attached.
        let sandbox = (self.sandbox, self.result);
        let threads = shared.threads.clone();
        // In a task of its own, which removes the sandbox even if nothing waits for that any longer.
        let dropped = spawn(async move { threads.run(move || drop(sandbox)).await });
        match timeout(self.stage_timeout, dropped).await {
            Ok(ended) => {
                if let Err(error) = ended.and_then(|dropped| dropped) {
                    monitor.report_error(&error, "an engine failed to dispose");
                }
            }
            Err(_) => {
                monitor.error("an engine hangs while it removes a task; stopping the worker");
                run.environment.stop.stop_gracefully();
            }
        }
        for NamedPlugin { name, plugin } in self.plugins {
            match timeout(shared.timing.hang_timeout, catch_panic(plugin.dispose())).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    monitor.report_error(&error, format_args!("plugin `{name}` failed to dispose"));
                }
                Err(_) => {
                    // Its resources are still in use and would be missing for the next task.
                    monitor.error(format_args!(
                        "plugin `{name}` hangs in `dispose`; stopping the worker"
                    ));
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
        traced("prepare", Vec::new, self.prepare(shared, run)).await?;
        let sandbox = traced("start", Vec::new, self.start(shared, run)).await?;
        // No stage limit: the task may run until its deadline or `maxRunTime`, which stop it from outside.
        // After a kill, the guard of the sandbox ends the wait.
        let result = traced_with("run", Vec::new, sandbox.wait(), failure_of_run).await?;
        // Kept until `dispose`: the last reference may remove the folder of the task, and is
        // dropped on another thread there.
        self.result = Some(Arc::clone(&result));
        run.report.set_exit(result.exit());
        let mut verdict = if result.exit().success() {
            Verdict::Success
        } else {
            Verdict::Failure
        };
        let limit = self.stage_timeout;
        // A failed verdict skips no plugin: the artifacts of failed tasks are needed most.
        let stopped = async {
            for NamedPlugin { name, plugin } in &mut self.plugins {
                let stopped = foreign_call(name, "stopped", limit, plugin.stopped(&result));
                // The maximum: a plugin can make a verdict worse, but never better.
                verdict = verdict.max(stopped.await?);
            }
            Ok(verdict)
        };
        traced("stopped", Vec::new, stopped).await
    }

    async fn prepare(&mut self, shared: &WorkerShared, run: &TaskRun) -> Result<(), TaskError> {
        self.create_plugins(shared, run).await?;
        // Concurrently, because fetches mostly wait for the network. The first error drops the others.
        let limit = self.stage_timeout;
        let plugins = self.plugins.iter_mut();
        let prepared = plugins.map(|NamedPlugin { name, plugin }| {
            let prepared = foreign_call(name, "prepare", limit, plugin.prepare());
            let attributes = || vec![("plugin", (*name).to_owned())];
            traced("plugin", attributes, prepared)
        });
        try_join_all(prepared).await?;
        Ok(())
    }

    /// Creates the task's plugins. For a malformed payload it creates those that read no payload, such as the task
    /// log, so that the author of the task finds the error in the log.
    async fn create_plugins(
        &mut self,
        shared: &WorkerShared,
        run: &TaskRun,
    ) -> Result<(), TaskError> {
        let checked = match &run.context.info().definition_error {
            Some(error) => Err(error.clone()),
            None => shared.check_payload(run.payload()),
        };
        for plugin in &shared.plugins {
            if checked.is_ok() || plugin.payload_schema().is_none() {
                let name = plugin.name();
                let run = run.with_prefix(name);
                let created = plugin.new_task_plugin(&run);
                let created =
                    foreign_call(name, "new_task_plugin", self.stage_timeout, created).await?;
                self.plugins
                    .extend(created.map(|plugin| NamedPlugin { name, plugin }));
            }
        }
        checked.map_err(TaskError::from)
    }

    async fn start(
        &mut self,
        shared: &WorkerShared,
        run: &TaskRun,
    ) -> Result<Arc<GuardedSandbox>, TaskError> {
        let limit = self.stage_timeout;
        let engine = &shared.engine;
        let engine_run = run.with_prefix(engine.name());
        let builder = engine.new_sandbox_builder(&engine_run);
        let mut builder = foreign_call(ENGINE, "new_sandbox_builder", limit, builder).await?;
        let mut variables = PluginVariables::new();
        // One after the other, unlike `prepare`: all change the same builder, in the order of the plugins.
        for NamedPlugin { name, plugin } in &mut self.plugins {
            let mut builder = PluginSandboxBuilder {
                builder: &mut *builder,
                plugin: name,
                variables: &mut variables,
            };
            let configured = plugin.build_sandbox(&mut builder);
            foreign_call(name, "build_sandbox", limit, configured).await?;
        }
        let sandbox = foreign_call(ENGINE, "start", limit, builder.start()).await?;
        let sandbox = GuardedSandbox::new(sandbox, shared.timing.hang_timeout);
        let sandbox = Arc::new(sandbox);
        // Stored before the next await: a stop drops this future, and `execute` has to kill the sandbox then.
        self.sandbox = Some(Arc::clone(&sandbox));
        shared.notify(&TaskEvent::Started {
            run: run.context.run(),
        });
        let started: Arc<dyn Sandbox> = sandbox.clone();
        for NamedPlugin { name, plugin } in &mut self.plugins {
            foreign_call(name, "started", limit, plugin.started(&started)).await?;
        }
        Ok(sandbox)
    }
}

/// Returns why a command failed, for its span.
fn failure_of_run(result: &Result<Arc<dyn ResultSet>, TaskError>) -> Option<String> {
    match result {
        Ok(result) => (!result.exit().success()).then(|| result.exit().to_string()),
        Err(error) => Some(error_chain(error)),
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
async fn kill(sandbox: &GuardedSandbox, run: &TaskRun, budget: ShutdownBudget<'_>) {
    let within = budget.kill_timeout();
    let killed = tokio::select! {
        biased;
        killed = catch_panic(sandbox.kill(within)) => Some(killed).filter(|_| !sandbox.has_hung()),
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
