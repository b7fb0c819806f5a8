//! One try of the worker at one run, from its first stage to its report.

use std::convert::Infallible;
use std::error::Error;
use std::future::pending;
use std::pin::pin;

use runtime_core::queue::{RunStatus, TaskClaim};
use runtime_core::{
    ApiError, ExceptionReason, StopReason, StopStage, TaskContextController, TaskError, error_chain,
};
use tokio::sync::SetOnce;

use super::budget::Budget;
use super::keeper::{Keeper, ends_claim, look, resolved_by_others};
use super::stages::{Halt, Stages};
use crate::worker::Blueprint;
use crate::{Resolution, TaskRun, Verdict};

/// One try of the worker at one run.
pub(super) struct Attempt<'a> {
    pub(super) blueprint: &'a Blueprint,
    pub(super) run: &'a TaskRun,
    pub(super) controller: &'a TaskContextController,
    pub(super) budget: Budget<'a>,
    pub(super) no_more_claims: &'a SetOnce<()>,
    /// That the run is no longer ours, and why. The reason to stop cannot tell: an earlier one wins there.
    pub(super) lost: SetOnce<StopReason>,
}

impl Attempt<'_> {
    /// Runs the task while the claim is kept and the worker goes on.
    pub(super) async fn drive(&self, claim: &TaskClaim) -> Resolution {
        if self.is_to_be_given_back(claim) {
            self.controller.abort();
        }
        tokio::select! {
            resolution = self.resolve() => resolution,
            never = self.supervise(claim) => match never {},
        }
    }

    /// A worker that stops starts nothing, unless a run that was claimed meanwhile would be the last.
    fn is_to_be_given_back(&self, claim: &TaskClaim) -> bool {
        match self.budget.stop.stage() {
            StopStage::Running => false,
            StopStage::Graceful => claim.status.retries_left > 0,
            StopStage::Now => true,
        }
    }

    /// Stops the task when the claim is lost or the worker stops. It never ends: after a stop, the task
    /// has still to be resolved.
    async fn supervise(&self, claim: &TaskClaim) -> Infallible {
        let keeper = Keeper {
            queue: &*self.blueprint.queue,
            run: self.run,
            controller: self.controller,
            timing: &self.blueprint.timing,
        };
        let keep = async {
            let reason = keeper.keep(claim.taken_until).await;
            // Set once: the keeper ends once.
            let _ = self.lost.set(reason);
            self.controller.stop(reason);
        };
        let obey = async {
            self.budget.gets_short().await;
            self.controller.abort();
        };
        tokio::join!(keep, obey);
        pending().await
    }

    async fn resolve(&self) -> Resolution {
        let mut stages = Stages::default();
        let outcome = stages.execute(self.blueprint, self.run, self.budget).await;
        let outcome = self.understand(outcome).await;
        self.explain(&outcome);
        let resolution = match self.close_log(&mut stages, outcome) {
            Ok(verdict) => self.conclude(&mut stages, verdict).await,
            Err(halt) => self.give_up(&mut stages, halt).await,
        };
        stages.dispose(self.blueprint, self.run).await;
        resolution
    }

    /// Finishes and reports a verdict. The log is closed by now, so that an error can only be told to
    /// the monitor.
    async fn conclude(&self, stages: &mut Stages, verdict: Verdict) -> Resolution {
        let outcome = stages.finish(self.run, verdict).await.map(|()| verdict);
        match self.understand(outcome).await {
            Ok(verdict) => self.report(verdict.into()).await,
            Err(halt) => {
                if let Halt::Failed(error) = &halt {
                    self.run
                        .monitor()
                        .report_error(error, "a task could not be finished");
                }
                self.give_up(stages, halt).await
            }
        }
    }

    /// Reports that there is no verdict, and tells the plugins, in the order that the time allows.
    async fn give_up(&self, stages: &mut Stages, halt: Halt) -> Resolution {
        let resolution = self.resolution_of(&halt);
        let mut tell = pin!(stages.tell_exception(self.run, resolution));
        let report_first = match resolution {
            Resolution::Exception(ExceptionReason::WorkerShutdown) => true,
            Resolution::Exception(_) => tokio::select! {
                biased;
                () = &mut tell => return self.report(resolution).await,
                // The uploads may not be done in time. What is left of them comes after the report.
                () = self.budget.gets_short() => true,
            },
            Resolution::Completed | Resolution::Failed | Resolution::Abandoned(_) => false,
        };
        let resolution = match report_first {
            true => self.report(resolution).await,
            false => resolution,
        };
        self.budget.spend(tell).await;
        resolution
    }

    /// A refusal by the queue, wherever it came, may mean that the run is somebody else's.
    async fn understand(&self, outcome: Result<Verdict, Halt>) -> Result<Verdict, Halt> {
        match outcome {
            Err(Halt::Failed(error)) if comes_of_refusal(&error) => {
                let found = match self.lost.get() {
                    Some(reason) => Some(*reason),
                    None => self.look().await.and_then(|run| resolved_by_others(&run)),
                };
                Err(found.map_or(Halt::Failed(error), Halt::Stopped))
            }
            outcome => outcome,
        }
    }

    /// What the queue says of the run, if it can be asked.
    pub(super) async fn look(&self) -> Option<RunStatus> {
        look(&*self.blueprint.queue, self.run.context.run()).await
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
            Err(Halt::Failed(error)) => context.log_error(error_chain(error)),
        }
    }

    /// A log that lost bytes must not come with a verdict that says all is well.
    fn close_log(
        &self,
        stages: &mut Stages,
        outcome: Result<Verdict, Halt>,
    ) -> Result<Verdict, Halt> {
        stages.closing_log(self.run);
        let Err(error) = self.controller.close_log() else {
            return outcome;
        };
        self.run
            .monitor()
            .report_error(&error, "the log of a task is incomplete");
        outcome.and(Err(Halt::Failed(TaskError::NonFatalInternal)))
    }

    fn resolution_of(&self, halt: &Halt) -> Resolution {
        match halt {
            Halt::Stopped(reason) => (*reason).into(),
            Halt::Failed(error) => {
                if matches!(error, TaskError::FatalInternal) {
                    self.run.environment.stop.stop_gracefully();
                }
                Resolution::from(error)
            }
        }
    }
}

fn comes_of_refusal(error: &TaskError) -> bool {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        let refusal = error.downcast_ref::<ApiError>();
        if refusal.is_some_and(|error| ends_claim(error) || error.status() == Some(401)) {
            return true;
        }
        cause = error.source();
    }
    false
}
