//! The standard plugins that say something or stop a worker.

use async_trait::async_trait;
use runtime_core::{StopStage, TaskError};
use runtime_worker::plugins::{LogPrefix, StopOnError};
use runtime_worker::{Plugin, TaskPlugin, TaskRun};

use crate::support::{Bench, sh, state};

#[tokio::test]
async fn lines_of_the_operator_stand_in_every_log() {
    let bench = Bench::new().await;
    let task_id = bench.create(sh("true"));
    let prefix = LogPrefix::new([("image", "debian-13")]);
    let running = bench.start(bench.worker().plugin(prefix));
    bench.resolved(&task_id).await;
    running.stop().await;
    let log = bench.log(&task_id).await;
    assert!(log.contains("] image: debian-13\n"), "{log}");
}

#[cfg(target_os = "linux")]
mod usage {
    use std::sync::Arc;

    use parking_lot::Mutex;
    use runtime_worker::plugins::ResourceUsage;
    use runtime_worker::report::TaskReportBuilder;

    use super::*;
    use crate::support::until;

    /// Sees what a task has used so far.
    #[derive(Clone, Debug, Default)]
    struct Peek(Arc<Mutex<Option<Arc<TaskReportBuilder>>>>);

    impl Peek {
        fn memory(&self) -> u64 {
            let record = self.0.lock().clone();
            let usage = record.map(|record| record.usage());
            usage.and_then(|usage| usage.peak_memory).unwrap_or(0)
        }
    }

    #[async_trait]
    impl Plugin for Peek {
        fn name(&self) -> &'static str {
            "peek"
        }

        async fn new_task_plugin(
            &self,
            run: &TaskRun,
        ) -> Result<Option<Box<dyn TaskPlugin>>, TaskError> {
            *self.0.lock() = Some(Arc::clone(&run.report));
            Ok(None)
        }
    }

    #[tokio::test]
    async fn what_a_task_used_is_in_its_log_also_when_it_was_cancelled() {
        let bench = Bench::new().await;
        let peek = Peek::default();
        let task_id = bench.create(sh("exec sleep 600"));
        let running = bench.start(bench.worker().plugin(ResourceUsage).plugin(peek.clone()));
        until(|| peek.memory() > 0).await;
        bench.cancel(&task_id);
        bench.reported(1).await;
        running.stop().await;
        let log = bench.log(&task_id).await;
        assert!(log.contains("] Resources: "), "{log}");
        assert!(log.contains("peak memory"), "{log}");
        let usage = bench.reports()[0].usage;
        assert!(
            usage.peak_memory.is_some_and(|bytes| bytes > 0),
            "{usage:?}"
        );
    }
}

/// Fails every task.
#[derive(Debug)]
struct Broken;

#[async_trait]
impl Plugin for Broken {
    fn name(&self) -> &'static str {
        "broken"
    }

    async fn new_task_plugin(&self, _: &TaskRun) -> Result<Option<Box<dyn TaskPlugin>>, TaskError> {
        Err(TaskError::NonFatalInternal)
    }
}

#[tokio::test]
async fn the_first_internal_error_stops_a_worker_that_is_told_so() {
    let bench = Bench::new().await;
    let stop = bench.stop_by_worker();
    let task_id = bench.create(sh("true"));
    let worker = bench
        .worker_stopping(&stop)
        .plugin(StopOnError)
        .plugin(Broken);
    bench.run_to_its_end(worker, &stop).await;
    let status = bench.resolved(&task_id).await;
    assert_eq!(state(&status), "exception/internal-error");
    assert_eq!(stop.stage(), StopStage::Graceful);
}

#[tokio::test]
async fn the_documentation_has_the_sections_and_the_schema_of_all_parts() {
    let bench = Bench::new().await;
    let worker = bench.worker().build().expect("the parts fit together");
    let text = worker.documentation("The worker");
    for part in [
        "# The worker\n",
        "## Commands\n",
        "## Artifacts\n",
        "## Payload\n",
        "\"maxRunTime\"",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}
