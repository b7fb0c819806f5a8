//! Supervises one run: executes its stages, watches the claim and the worker's shutdown, and resolves it.

use std::convert::Infallible;
use std::error::Error;
use std::future::pending;
use std::pin::pin;

use runtime_core::monitor::traced_with;
use runtime_core::queue::TaskClaim;
use runtime_core::util::error_sources;
use runtime_core::{
    ApiError, ExceptionReason, StopStage, TaskContextController, TaskError, error_chain,
};

use super::log_end::{self, LogDiskFull};
use super::reclaim::Reclaimer;
use super::reporter::ResolutionReporter;
use super::stages::{RunError, RunStages};
use super::status::{fetch_status, is_claim_lost, stop_reason};
use crate::resolution::{Resolution, Verdict};
use crate::shared::WorkerShared;
use crate::task_run::TaskRun;

/// Supervises one run from its first stage to its report.
pub(super) struct RunSupervisor<'a> {
    pub(super) shared: &'a WorkerShared,
    pub(super) run: &'a TaskRun,
    pub(super) controller: &'a TaskContextController,
    // Owns the time budget and the state of the claim: both are needed last, for the report.
    pub(super) reporter: ResolutionReporter<'a>,
}

impl RunSupervisor<'_> {
    /// Runs and resolves the task. The run is reclaimed until it is resolved, including the uploads at its end.
    pub(super) async fn run(&self, claim: &TaskClaim) -> Resolution {
        if self.should_give_back(claim) {
            // No stage is executed, and the run is reported like any stopped run.
            self.controller.abort();
        }
        tokio::select! {
            resolution = self.resolve() => resolution,
            // Until the end of `resolve`: uploads may take longer than a claim, and the queue
            // resolves a run whose claim has expired.
            never = self.watch(claim) => match never {},
        }
    }

    /// Returns whether to give back a run that was claimed while the worker was stopping.
    ///
    /// The queue runs it elsewhere, at the cost of a retry. Without a retry left the task would fail, so a graceful
    /// stop runs it to its end instead.
    fn should_give_back(&self, claim: &TaskClaim) -> bool {
        match self.reporter.budget.stop.stage() {
            StopStage::Running => false,
            StopStage::Graceful => claim.status.retries_left > 0,
            StopStage::Now => true,
        }
    }

    /// Stops the task when the claim is lost or an immediate stop of the worker is requested.
    ///
    /// It never returns: a stopped task still has to be resolved, which `resolve` does. Both watchers go on after the
    /// first stop, because a claim may be lost while the report of a shutdown is retried.
    async fn watch(&self, claim: &TaskClaim) -> Infallible {
        let watcher = Reclaimer {
            queue: &*self.shared.queue,
            run: self.run,
            controller: self.controller,
            timing: &self.shared.timing,
        };
        let watch_claim = async {
            let reason = watcher.run(claim).await;
            // The watcher returns once, so the value cannot be set already.
            let _ = self.reporter.claim_lost.set(reason);
            self.controller.stop(reason);
        };
        let watch_shutdown = async {
            self.reporter.budget.immediate_stop().await;
            self.controller.abort();
        };
        tokio::join!(watch_claim, watch_shutdown);
        pending().await
    }

    /// Executes the stages, closes the log, and then notifies the plugins and the queue.
    ///
    /// The log is closed before `finished` and `exception`, in which it is uploaded, and the report is sent after that: the queue
    /// accepts no artifacts for completed and failed runs.
    async fn resolve(&self) -> Resolution {
        let mut stages = RunStages::new(self.shared.timing.stage_timeout);
        let budget = self.reporter.budget;
        let outcome = stages.execute(self.shared, self.run, budget).await;
        // Before the log is closed, which should show the cancellation and not the refused upload
        // that it caused.
        let outcome = self.reclassify(outcome).await;
        self.log_outcome(&outcome);
        let resolution = match self.close_log(&mut stages, outcome).await {
            Ok(verdict) => self.finish(&mut stages, verdict).await,
            Err(error) => self.finish_exception(&mut stages, error).await,
        };
        // After the report: dependent tasks need not wait for the removal of files.
        let dispose = stages.dispose(self.shared, self.run);
        let dispose = traced_with("dispose", Vec::new, dispose, |()| None);
        budget.dispose_within(dispose).await;
        resolution
    }

    /// Notifies the plugins of the verdict, then reports it. Errors go to the monitor only, since the log is closed.
    async fn finish(&self, stages: &mut RunStages, verdict: Verdict) -> Resolution {
        let outcome = stages.finish(self.run, verdict).await.map(|()| verdict);
        match self.reclassify(outcome).await {
            Ok(verdict) => self.reporter.report(verdict.into()).await,
            Err(error) => {
                use TaskError::{FatalInternal, NonFatalInternal};
                // These two have no details, because the plugin has already reported them.
                if let RunError::Failed(error) = &error
                    && !matches!(error, FatalInternal | NonFatalInternal)
                {
                    let monitor = self.run.monitor();
                    monitor.report_error(error, "a task could not be finished");
                }
                self.finish_exception(stages, error).await
            }
        }
    }

    /// Notifies the plugins and reports the exception, in an order that depends on the remaining time.
    ///
    /// Normally the plugins are first, so that a resolved run has all of its artifacts. After an immediate stop the
    /// report is first: if the machine disappears during an upload, the task has already been given back, instead of
    /// staying claimed until its claim expires. The queue accepts artifacts for 25 minutes after an exception, so the
    /// uploads can use the remaining time.
    async fn finish_exception(&self, stages: &mut RunStages, error: RunError) -> Resolution {
        let resolution = self.resolution_of(&error);
        let notify = stages.notify_exception(self.run, resolution);
        let mut notify = pin!(traced_with("exception", Vec::new, notify, |()| None));
        let report_first = match resolution {
            Resolution::Exception(ExceptionReason::WorkerShutdown) => true,
            Resolution::Exception(_) => tokio::select! {
                biased;
                () = &mut notify => return self.reporter.report(resolution).await,
                // The stop arrived during the uploads. They are continued after the report.
                () = self.reporter.budget.immediate_stop() => true,
            },
            // Only `Abandoned` is possible here, and it is never reported.
            Resolution::Completed | Resolution::Failed | Resolution::Abandoned(_) => false,
        };
        let resolution = if report_first {
            self.reporter.report(resolution).await
        } else {
            resolution
        };
        self.reporter.budget.run_within(notify).await;
        resolution
    }

    /// Turns a failure into a stop if its cause is that the worker no longer holds the run, and into an unavailable
    /// resource if the disk of the log is full.
    ///
    /// For example, an upload of a cancelled task fails with a 409 before the next poll notices the cancellation.
    /// Reporting that as an internal error would be wrong, and the queue would refuse it.
    async fn reclassify(&self, outcome: Result<Verdict, RunError>) -> Result<Verdict, RunError> {
        let error = match outcome {
            Err(RunError::Failed(error)) if is_refused_by_queue(&error) => error,
            // The engine could not write the output. The log says so itself, see `close_log`.
            Err(RunError::Failed(TaskError::Other(error))) if self.is_log_disk_full() => {
                let monitor = self.run.monitor();
                monitor
                    .report_warning(&*error, "a task failed because the disk of its log is full");
                return Err(RunError::Failed(TaskError::unavailable(LogDiskFull)));
            }
            outcome => return outcome,
        };
        let reason = match self.reporter.claim_lost.get() {
            Some(reason) => Some(*reason),
            // The watcher may not have noticed yet, and the error does not show the reason.
            None => fetch_status(&*self.shared.queue, self.run.context.run())
                .await
                .and_then(|run| stop_reason(&run)),
        };
        Err(reason.map_or(RunError::Failed(error), RunError::Stopped))
    }

    /// Writes to the task's log why there is no verdict.
    fn log_outcome(&self, outcome: &Result<Verdict, RunError>) {
        let context = &self.run.context;
        match outcome {
            Ok(_) => {}
            Err(RunError::Stopped(reason)) => {
                context.log_error(format_args!("Task stopped: {reason}"));
            }
            Err(RunError::Failed(TaskError::MalformedPayload(error))) => {
                for message in error.messages() {
                    context.log_error(format_args!("Malformed payload: {message}"));
                }
            }
            Err(RunError::Failed(TaskError::Other(error))) => {
                // The error may name secrets of the worker, so the task's log only gets the number of the incident.
                let monitor = self.run.monitor();
                let incident = monitor.report_error(&**error, "a task met an unexpected error");
                context.log_error(format_args!(
                    "Internal error of the worker, incident {incident}"
                ));
            }
            Err(RunError::Failed(error)) => context.log_error(error_chain(error)),
        }
    }

    /// Closes the log. If it has lost lines, the run becomes an exception: a verdict without a complete log would
    /// mislead the author of the task.
    async fn close_log(
        &self,
        stages: &mut RunStages,
        outcome: Result<Verdict, RunError>,
    ) -> Result<Verdict, RunError> {
        // Before the close: plugins may still have output or a last message for the log.
        stages.closing_log(self.run);
        let log = self.run.context.followed_log();
        let Err(error) = log_end::close(log, self.shared.timing.hang_timeout).await else {
            return outcome;
        };
        let monitor = self.run.monitor();
        if !self.is_log_disk_full() {
            monitor.report_error(&*error, "the log of a task is incomplete");
            return outcome.and(Err(RunError::Failed(TaskError::NonFatalInternal)));
        }
        monitor.report_warning(&*error, "the disk is full: the log of a task is incomplete");
        let ending = self.controller.end_failed_log(LogDiskFull);
        let limit = self.shared.timing.hang_timeout;
        let report = |error: &(dyn Error + 'static)| {
            monitor.report_warning(
                error,
                "cannot say in the log of a task that its disk is full",
            );
        };
        match tokio::time::timeout(limit, ending).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => report(&error),
            Err(error) => report(&error),
        }
        // An earlier error, such as a stop, stays the reason.
        outcome.and(Err(RunError::Failed(TaskError::unavailable(LogDiskFull))))
    }

    fn is_log_disk_full(&self) -> bool {
        log_end::is_disk_full(self.run.context.followed_log())
    }

    fn resolution_of(&self, error: &RunError) -> Resolution {
        match error {
            RunError::Stopped(reason) => (*reason).into(),
            RunError::Failed(error) => {
                // The engine or plugin has declared the machine unfit for further tasks.
                if matches!(error, TaskError::FatalInternal) {
                    self.run.environment.stop.stop_gracefully();
                }
                Resolution::from(error)
            }
        }
    }
}

/// Returns whether the queue refused a request somewhere in the chain of causes.
fn is_refused_by_queue(error: &TaskError) -> bool {
    // A 401 counts here, unlike in `is_claim_lost`: it only leads to a look at the status of the
    // run, which decides.
    error_sources(error)
        .filter_map(|error| error.downcast_ref::<ApiError>())
        .any(|error| is_claim_lost(error) || error.status() == Some(401))
}
