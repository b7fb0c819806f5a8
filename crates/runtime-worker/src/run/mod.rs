//! One task, from its claim to its resolution.

mod attempt;
mod budget;
mod guard;
mod keeper;
mod report;
mod stages;

use std::sync::Arc;
use std::time::Instant;

use runtime_core::log::CreateLogError;
use runtime_core::queue::TaskClaim;
use runtime_core::{
    CredentialsWatch, ExceptionReason, LifeCycleTracker, LogOptions, Run, StopReason, TaskContext,
    TaskContextController, TaskInfo,
};
use tokio::sync::SetOnce;

use crate::worker::Blueprint;
use crate::{Resolution, TaskEvent, TaskRecord, TaskReport, TaskRun};
use attempt::Attempt;
use budget::Budget;
use guard::guarded;

/// What a task must know of the loop that claimed it.
pub(crate) struct Shift {
    /// Whether the worker stops.
    pub(crate) stop: LifeCycleTracker,
    /// That it has stopped to claim, and waits for no answer.
    pub(crate) no_more_claims: Arc<SetOnce<()>>,
}

/// Runs a claimed task and resolves it, unless somebody else does.
pub(crate) async fn run_task(blueprint: &Blueprint, claim: TaskClaim, shift: &Shift) -> TaskReport {
    let started = Instant::now();
    let name = claim.task.metadata.name.clone();
    let info = TaskInfo::from_claim(&claim);
    let run = info.run.clone();
    blueprint.tell(&TaskEvent::Claimed {
        run: &run,
        name: &name,
    });
    let record = Arc::new(TaskRecord::default());
    let resolution = match open(blueprint, &claim, info, Arc::clone(&record)) {
        Ok((run, controller)) => {
            let monitor = run.monitor().clone();
            let work = work(blueprint, &claim, run, controller, shift);
            monitor.in_span("task", work).await
        }
        Err(error) => refuse(blueprint, &claim, &run, &error).await,
    };
    let report = record.report(run, name, resolution, started.elapsed());
    let environment = &blueprint.environment;
    environment.monitor.count("tasks-resolved", 1);
    environment
        .monitor
        .measure_duration("task-duration", report.duration);
    blueprint
        .health
        .note(resolution, &environment.monitor, &*environment.stop);
    blueprint.tell(&TaskEvent::Resolved(&report));
    report
}

async fn work(
    blueprint: &Blueprint,
    claim: &TaskClaim,
    run: TaskRun,
    controller: TaskContextController,
    shift: &Shift,
) -> Resolution {
    let attempt = Attempt {
        blueprint,
        run: &run,
        controller: &controller,
        budget: Budget {
            stop: &shift.stop,
            timing: &blueprint.timing,
        },
        no_more_claims: &shift.no_more_claims,
        lost: SetOnce::new(),
    };
    let resolution = match guarded(attempt.drive(claim)).await {
        Ok(resolution) => resolution,
        // Engines and plugins are guarded where they are called, so this is a defect of the worker's own.
        Err(error) => {
            let monitor = run.monitor();
            monitor.report_error(&error, "the worker failed at a task");
            attempt
                .report(Resolution::Exception(ExceptionReason::InternalError))
                .await
        }
    };
    drop(attempt);
    drop(run);
    if let Err(error) = controller.dispose() {
        let monitor = &blueprint.environment.monitor;
        monitor.report_warning(&error, "cannot remove the log of a task");
    }
    resolution
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
    let log_options = LogOptions {
        output_limit: blueprint.output_limit.fresh(),
        ..LogOptions::default()
    };
    let (context, controller) = TaskContext::create_with(&log, info, log_options)?;
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
    let monitor = &blueprint.environment.monitor;
    monitor.report_error(error, format_args!("cannot run {run}"));
    let credentials = CredentialsWatch::fixed(Some(claim.credentials.clone()));
    let queue = blueprint.deployment.connect(credentials).queue;
    let reason = ExceptionReason::InternalError;
    match queue.report_exception(run, reason).await {
        Ok(_) => Resolution::Exception(reason),
        Err(error) => {
            monitor.report_error(&error, format_args!("cannot resolve {run}"));
            Resolution::Abandoned(StopReason::ClaimLost)
        }
    }
}
