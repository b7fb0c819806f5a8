//! One task, from its claim to its resolution.

mod keeper;
mod stages;

use std::sync::Arc;
use std::time::Instant;

use runtime_core::log::CreateLogError;
use runtime_core::queue::TaskClaim;
use runtime_core::{
    ApiError, CredentialsWatch, ExceptionReason, Run, StopReason, TaskContext,
    TaskContextController, TaskError, TaskInfo, chain,
};

use crate::worker::Blueprint;
use crate::{Resolution, TaskEvent, TaskRecord, TaskReport, TaskRun, Verdict};
use keeper::Keeper;
use stages::{Halt, Stages};

/// Runs a claimed task and resolves it, unless somebody else does.
pub(crate) async fn run_task(
    blueprint: &Blueprint,
    claim: TaskClaim,
    stop: impl Future<Output = ()>,
) -> TaskReport {
    let started = Instant::now();
    let name = claim.task.metadata.name.clone();
    let info = TaskInfo::from_claim(&claim);
    blueprint.observer.event(&TaskEvent::Claimed {
        run: &info.run,
        name: &name,
    });
    let record = Arc::new(TaskRecord::default());
    let run_id = info.run.clone();
    let resolution = match open(blueprint, &claim, info, Arc::clone(&record)) {
        Ok((run, controller)) => {
            let attempt = Attempt {
                blueprint,
                run: &run,
                controller: &controller,
            };
            let resolution = attempt.drive(claim, stop).await;
            drop(run);
            if let Err(error) = controller.dispose() {
                blueprint
                    .environment
                    .monitor
                    .report_warning(&error, "cannot remove the log of a task");
            }
            resolution
        }
        Err(error) => refuse(blueprint, &claim, &run_id, &error).await,
    };
    let report = record.report(run_id, name, resolution, started.elapsed());
    blueprint.environment.monitor.count("tasks-resolved", 1);
    blueprint
        .environment
        .monitor
        .measure_duration("task-duration", report.duration);
    blueprint.observer.event(&TaskEvent::Resolved(&report));
    report
}

fn open(
    blueprint: &Blueprint,
    claim: &TaskClaim,
    info: TaskInfo,
    record: Arc<TaskRecord>,
) -> Result<(TaskRun, TaskContextController), CreateLogError> {
    let log = blueprint
        .environment
        .storage
        .path()
        .join(format!("{}-{}.log", info.run.task_id, info.run.run_id));
    let mut environment = blueprint.environment.clone();
    environment.monitor = environment
        .monitor
        .with_tag("taskId", info.run.task_id.to_string())
        .with_tag("runId", info.run.run_id.to_string());
    let (context, controller) = TaskContext::create(&log, info)?;
    controller.set_credentials(claim.credentials.clone());
    controller.set_services(blueprint.deployment.connect(controller.credentials()));
    Ok((
        TaskRun {
            context,
            environment,
            record,
        },
        controller,
    ))
}

/// Resolves a run for which there cannot even be a log.
async fn refuse(
    blueprint: &Blueprint,
    claim: &TaskClaim,
    run: &Run,
    error: &CreateLogError,
) -> Resolution {
    blueprint
        .environment
        .monitor
        .report_error(error, format_args!("cannot run {run}"));
    let services = blueprint
        .deployment
        .connect(CredentialsWatch::fixed(Some(claim.credentials.clone())));
    let reason = ExceptionReason::InternalError;
    if let Err(error) = services.queue.report_exception(run, reason).await {
        blueprint
            .environment
            .monitor
            .report_error(&error, format_args!("cannot resolve {run}"));
    }
    Resolution::Exception(reason)
}

/// One try of the worker at one run.
struct Attempt<'a> {
    blueprint: &'a Blueprint,
    run: &'a TaskRun,
    controller: &'a TaskContextController,
}

impl Attempt<'_> {
    /// Runs the task while the claim is kept and the worker goes on.
    async fn drive(&self, claim: TaskClaim, stop: impl Future<Output = ()>) -> Resolution {
        let keeper = Keeper {
            run: self.run,
            controller: self.controller,
            taken_until: claim.taken_until,
            poll: self.blueprint.cancel_poll,
        };
        let watch = async {
            tokio::join!(keeper.keep(), async {
                stop.await;
                self.controller.abort();
            })
        };
        tokio::select! {
            resolution = self.resolve() => resolution,
            // Only watches: after a stop, the other branch still has to clear up.
            _ = async { watch.await; std::future::pending::<()>().await } => unreachable!("it never ends"),
        }
    }

    async fn resolve(&self) -> Resolution {
        let mut stages = Stages::default();
        let outcome = stages.execute(self.blueprint, self.run).await;
        self.explain(&outcome);
        let outcome = self.close_log(outcome);
        let outcome = match outcome {
            Ok(verdict) => self.finish(&mut stages, verdict).await,
            Err(halt) => Err(halt),
        };
        let resolution = self
            .report_and_tell(&mut stages, self.resolution_of(outcome))
            .await;
        stages.dispose().await;
        resolution
    }

    /// The log is closed by now, so that an error can only be told to the monitor.
    async fn finish(&self, stages: &mut Stages, verdict: Verdict) -> Result<Verdict, Halt> {
        let outcome = stages.finish(self.run, verdict).await;
        if let Err(Halt::Failed(error)) = &outcome {
            self.run
                .monitor()
                .report_error(error, "a task could not be finished");
        }
        outcome.map(|()| verdict)
    }

    /// Writes to the task's log why there is no verdict.
    fn explain(&self, outcome: &Result<Verdict, Halt>) {
        let context = &self.run.context;
        match outcome {
            Ok(_) => {}
            Err(Halt::Stopped(reason)) => context.log_error(format_args!("Task stopped: {reason}")),
            Err(Halt::Failed(TaskError::MalformedPayload(error))) => {
                error.messages().iter().for_each(|message| {
                    context.log_error(format_args!("Malformed payload: {message}"))
                });
            }
            Err(Halt::Failed(TaskError::Other(error))) => {
                let incident = self
                    .run
                    .monitor()
                    .report_error(&**error, "a task met an unexpected error");
                context.log_error(format_args!(
                    "Internal error of the worker, incident {incident}"
                ));
            }
            Err(Halt::Failed(error)) => context.log_error(chain(error)),
        }
    }

    /// A log that lost bytes must not come with a verdict that says all is well.
    fn close_log(&self, outcome: Result<Verdict, Halt>) -> Result<Verdict, Halt> {
        match (self.controller.close_log(), outcome) {
            (Err(error), Ok(_)) => {
                self.run
                    .monitor()
                    .report_error(&error, "the log of a task is incomplete");
                Err(Halt::Failed(TaskError::NonFatalInternal))
            }
            (_, outcome) => outcome,
        }
    }

    fn resolution_of(&self, outcome: Result<Verdict, Halt>) -> Resolution {
        match outcome {
            Ok(verdict) => verdict.into(),
            Err(Halt::Stopped(reason)) => reason.into(),
            Err(Halt::Failed(error)) => {
                if matches!(error, TaskError::FatalInternal) {
                    self.run.environment.worker.stop_gracefully();
                }
                Resolution::from(&error)
            }
        }
    }

    /// A worker that must stop reports first, since the uploads may not be done in time.
    async fn report_and_tell(&self, stages: &mut Stages, resolution: Resolution) -> Resolution {
        match resolution {
            Resolution::Exception(ExceptionReason::WorkerShutdown) => {
                let told = self.report(resolution).await;
                self.tell_exception(stages, resolution).await;
                told
            }
            Resolution::Exception(_) | Resolution::Abandoned(_) => {
                self.tell_exception(stages, resolution).await;
                self.report(resolution).await
            }
            Resolution::Completed | Resolution::Failed => self.report(resolution).await,
        }
    }

    async fn tell_exception(&self, stages: &mut Stages, resolution: Resolution) {
        for plugin in &mut stages.plugins {
            if let Err(error) = plugin.exception(&resolution).await {
                self.run
                    .monitor()
                    .report_warning(&error, "a plugin failed after an exception");
            }
        }
    }

    /// Reports, and returns what the run came to: somebody else may have resolved it at any time.
    async fn report(&self, resolution: Resolution) -> Resolution {
        match self.send_report(resolution).await {
            Ok(()) => resolution,
            Err(error) if error.is_conflict() => {
                self.run
                    .monitor()
                    .info(format_args!("the run is already resolved: {error}"));
                Resolution::Abandoned(StopReason::ClaimLost)
            }
            Err(error) => {
                self.run
                    .monitor()
                    .report_error(&error, format_args!("cannot report {resolution}"));
                Resolution::Abandoned(StopReason::ClaimLost)
            }
        }
    }

    async fn send_report(&self, resolution: Resolution) -> Result<(), ApiError> {
        let (queue, run) = (self.run.context.queue(), self.run.context.run());
        match resolution {
            Resolution::Completed => queue.report_completed(run).await?,
            Resolution::Failed => queue.report_failed(run).await?,
            Resolution::Exception(reason) => queue.report_exception(run, reason).await?,
            Resolution::Abandoned(_) => return Ok(()),
        };
        Ok(())
    }
}
