//! Runs one claimed task to its resolution. The crate's docs list the types that describe how a run ends.

mod budget;
mod claim_clock;
mod guarded_sandbox;
mod log_end;
mod plugin_sandbox_builder;
mod reclaim;
mod reporter;
mod stages;
mod status;
mod supervisor;

use std::sync::{Arc, OnceLock};

use runtime_core::queue::TaskClaim;
use runtime_core::{
    ExceptionReason, LifeCycleTracker, LogOptions, StopReason, TaskContext, TaskContextController,
    TaskInfo, Timestamp,
};
use tokio::sync::SetOnce;

use crate::foreign_call::catch_panic;
use crate::observer::TaskEvent;
use crate::report::TaskReport;
use crate::resolution::Resolution;
use crate::shared::WorkerShared;
use crate::task_run::TaskRun;
use budget::ShutdownBudget;
use reporter::ResolutionReporter;
use supervisor::RunSupervisor;

/// Information and loop_state from the claim loop for a run that it started.
pub(crate) struct LoopState {
    /// The start of the claim request.
    pub(crate) claiming_since: Timestamp,
    /// The shutdown of the worker.
    pub(crate) stop: LifeCycleTracker,
    /// Set after the last claim of the worker was answered or given up.
    pub(crate) no_more_claims: Arc<SetOnce<()>>,
}

/// Runs a claimed task and resolves it, unless the claim is lost.
pub(crate) async fn run_task(
    shared: &WorkerShared,
    claim: TaskClaim,
    loop_state: &LoopState,
) -> TaskReport {
    let info = TaskInfo::from_claim(&claim);
    let (id, name) = (info.run.clone(), claim.task.metadata.name.clone());
    shared.notify(&TaskEvent::Claimed {
        run: &id,
        name: &name,
    });
    // Quoted, because authors choose the name: it may contain line feeds and terminal escapes.
    shared
        .environment
        .monitor
        .info(format_args!("claimed task {id} {name:?}"));
    let (run, controller) = open(shared, &claim, info);
    let (monitor, report) = (run.monitor().clone(), Arc::clone(&run.report));
    let (task, since) = (run.context.clone(), pending_since(&claim, loop_state));
    let supervise = supervise(shared, &claim, run, controller, loop_state);
    let supervise = monitor.in_span("task", supervise);
    let task = (task.run(), task.redactor());
    let traced = monitor.trace_task(task, since, supervise, failure_of);
    let report = report.finish(traced.await);
    let (monitor, stop) = (&shared.environment.monitor, &*shared.environment.stop);
    monitor.info(format_args!(
        "resolved task {}: {} after {:.1} s",
        report.run,
        report.resolution,
        report.duration.as_secs_f64()
    ));
    monitor
        .with_tag("resolution", report.resolution.label())
        .count("tasks-resolved", 1);
    monitor.measure_duration("task-duration", report.duration);
    shared.error_limit.record(report.resolution, monitor, stop);
    shared.notify(&TaskEvent::Resolved(&report));
    report
}

/// Returns the time since which the task was pending and this worker was claiming.
///
/// The queue has measured the former with its own clock, which may differ from that of this machine.
fn pending_since(claim: &TaskClaim, loop_state: &LoopState) -> Timestamp {
    let runs = &claim.status.runs;
    let run = runs.iter().find(|run| run.run_id == claim.run_id);
    let scheduled = run.and_then(|run| run.scheduled);
    scheduled.map_or(loop_state.claiming_since, |at| {
        at.max(loop_state.claiming_since)
    })
}

/// Returns the text of a resolution other than `completed`, for the trace.
fn failure_of(resolution: &Resolution) -> Option<String> {
    (*resolution != Resolution::Completed).then(|| resolution.to_string())
}

async fn supervise(
    shared: &WorkerShared,
    claim: &TaskClaim,
    run: TaskRun,
    controller: TaskContextController,
    loop_state: &LoopState,
) -> Resolution {
    let reporter = ResolutionReporter {
        queue: &*shared.queue,
        run: &run,
        budget: ShutdownBudget {
            stop: &loop_state.stop,
            timing: &shared.timing,
        },
        no_more_claims: &loop_state.no_more_claims,
        claim_lost: SetOnce::new(),
        first_report: OnceLock::new(),
    };
    let supervisor = RunSupervisor {
        shared,
        run: &run,
        controller: &controller,
        reporter,
    };
    let resolution = match catch_panic(supervisor.run(claim)).await {
        Ok(resolution) => resolution,
        // Engines and plugins are called within `catch_panic`, so this panic is a defect of the worker itself.
        Err(error) => {
            let monitor = run.monitor();
            monitor.report_error(&error, "the worker failed at a task");
            let internal_error = Resolution::Exception(ExceptionReason::InternalError);
            let report = catch_panic(supervisor.reporter.report(internal_error)).await;
            // After a second panic the queue resolves the run, when the claim expires.
            report.unwrap_or(Resolution::Abandoned(StopReason::ClaimLost))
        }
    };
    // Before the log is removed: no part of the run may still use its context.
    drop(supervisor);
    drop(run);
    if let Err(error) = controller.dispose() {
        let monitor = &shared.environment.monitor;
        monitor.report_warning(&error, "cannot remove the log of a task");
    }
    resolution
}

/// Creates the context of a run, with its log.
fn open(
    shared: &WorkerShared,
    claim: &TaskClaim,
    info: TaskInfo,
) -> (TaskRun, TaskContextController) {
    let file_name = format!("{}-{}.log", info.run.task_id, info.run.run_id);
    let log_file = shared.environment.storage.path().join(file_name);
    let mut environment = shared.environment.clone();
    environment.monitor = environment
        .monitor
        .with_tag("taskId", info.run.task_id.to_string())
        .with_tag("runId", info.run.run_id.to_string());
    let log_options = LogOptions {
        // An unused limit: the configured one holds a counter, which clones share.
        output_limit: shared.output_limit.fresh(),
        ..LogOptions::default()
    };
    // Not a file at once: most logs are short, and the creation of a file can block.
    let (context, controller) = TaskContext::spooled(log_file, info, log_options);
    controller.set_credentials(claim.credentials.clone());
    // The services follow the credentials of the controller, which each reclaim replaces.
    controller.set_services(shared.deployment.connect(controller.credentials()));
    (TaskRun::new(context, environment), controller)
}
