//! A panic costs one task, never the worker.

use std::sync::Arc;

use async_trait::async_trait;
use runtime_core::{ExceptionReason, TaskError};
use runtime_worker::observer::{Observer, TaskEvent};
use runtime_worker::plugins::TaskLog;
use runtime_worker::{Plugin, Resolution, TaskPlugin, TaskRun};

use super::gate::{Act, Gate, STAGES, Stage};
use crate::support::{Bench, live_log, process_engine, sh, state};

#[tokio::test]
async fn a_plugin_that_panics_at_a_stage_costs_one_task_an_internal_error() {
    for stage in STAGES {
        let bench = Bench::new().await;
        let gate = Gate::new(stage, Act::Panic);
        let task_id = bench.create(sh("true"));
        let running = bench.start(bench.worker().plugin(gate.clone()));
        let status = bench.resolved(&task_id).await;
        running.stop().await;
        assert_eq!(state(&status), "exception/internal-error", "{stage:?}");
        assert_eq!(
            gate.disposed(),
            usize::from(stage != Stage::New),
            "{stage:?}"
        );
        if stage != Stage::Finished {
            let log = bench.log(&task_id).await;
            assert!(
                log.contains("Internal error of the worker, incident "),
                "{stage:?}: {log}"
            );
        }
        bench.assert_nothing_is_left();
    }
}

/// Panics where there is nobody to catch it but the worker itself.
#[derive(Clone, Debug)]
struct LatePanic(&'static str);

#[async_trait]
impl Plugin for LatePanic {
    fn name(&self) -> &'static str {
        "late-panic"
    }

    async fn new_task_plugin(&self, _: &TaskRun) -> Result<Option<Box<dyn TaskPlugin>>, TaskError> {
        Ok(Some(Box::new(self.clone())))
    }
}

#[async_trait]
impl TaskPlugin for LatePanic {
    async fn prepare(&mut self) -> Result<(), TaskError> {
        match self.0 {
            "exception" => Err(TaskError::unavailable("the moon is gone")),
            _ => Ok(()),
        }
    }

    async fn exception(&mut self, _: &Resolution) -> Result<(), TaskError> {
        panic!("it breaks while it hears of an exception")
    }

    async fn dispose(self: Box<Self>) {
        panic!("it breaks while it disposes")
    }
}

#[tokio::test]
async fn a_panic_after_the_stages_neither_loses_the_report_nor_keeps_others_from_disposing() {
    for (when, expected) in [
        ("exception", "exception/resource-unavailable"),
        ("dispose", "completed"),
    ] {
        let bench = Bench::new().await;
        let after = Gate::new(Stage::Started, Act::Pass);
        let task_id = bench.create(sh("true"));
        let worker = bench.worker().plugin(LatePanic(when));
        let running = bench.start(worker.plugin(after.clone()));
        assert_eq!(state(&bench.resolved(&task_id).await), expected);
        running.stop().await;
        assert_eq!(after.disposed(), 1, "{when}");
        bench.assert_nothing_is_left();
    }
}

/// An observer that panics at everything.
#[derive(Debug)]
struct Nervous;

impl Observer for Nervous {
    fn event(&self, _: &TaskEvent<'_>) {
        panic!("it cannot bear to look")
    }
}

#[tokio::test]
async fn an_observer_that_panics_costs_nothing() {
    let bench = Bench::new().await;
    let task_id = bench.create(sh("true"));
    let log = TaskLog::new().live(live_log).observer(Arc::new(Nervous));
    let worker = bench.worker_with(Arc::new(process_engine())).plugin(log);
    let running = bench.start(worker.observer(Arc::new(Nervous)));
    assert_eq!(state(&bench.resolved(&task_id).await), "completed");
    running.stop().await;
}

#[tokio::test]
async fn a_worker_on_a_broken_machine_stops_itself() {
    let bench = Bench::new().await;
    let stop = bench.stop_by_worker();
    for _ in 0..5 {
        bench.create(sh("true"));
    }
    let gate = Gate::new(Stage::Prepare, Act::Panic);
    let worker = bench
        .worker_stopping(&stop)
        .capacity(1)
        .max_consecutive_internal_errors(Some(3))
        .plugin(gate);
    bench.run_to_its_end(worker, &stop).await;
    let internal = Resolution::Exception(ExceptionReason::InternalError).to_string();
    assert_eq!(bench.resolutions(), [internal.as_str(); 3]);
}
