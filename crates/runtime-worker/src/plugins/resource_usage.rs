//! Logs the resource usage of tasks.

use async_trait::async_trait;
use runtime_core::TaskError;
use runtime_core::util::ByteSize;

use crate::plugin::{Plugin, TaskPlugin};
use crate::report::{TaskReport, Usage};
use crate::task_run::TaskRun;

/// Writes the resource usage of every task to its log and to the monitor: CPU time, peak memory, disk traffic and
/// cache hits. Tasks that were stopped are included.
///
/// Values that the engine does not measure are left out. The process engine does not measure network traffic.
#[derive(Clone, Copy, Debug, Default)]
pub struct ResourceUsage;

#[async_trait]
impl Plugin for ResourceUsage {
    fn name(&self) -> &'static str {
        "resources"
    }

    async fn new_task_plugin(
        &self,
        run: &TaskRun,
    ) -> Result<Option<Box<dyn TaskPlugin>>, TaskError> {
        Ok(Some(Box::new(UsageReporter(run.clone()))))
    }
}

struct UsageReporter(TaskRun);

#[async_trait]
impl TaskPlugin for UsageReporter {
    fn closing_log(&mut self) {
        let report = self.0.report.snapshot();
        let summary = summary(&report);
        if !summary.is_empty() {
            self.0.context.log(format_args!("Resources: {summary}"));
        }
        let monitor = self.0.monitor();
        if let Some(cpu) = report.usage.cpu {
            monitor.measure_duration("cpu", cpu);
        }
        if let Some(memory) = report.usage.peak_memory {
            monitor.measure("peak-memory", memory as f64);
        }
    }
}

fn summary(report: &TaskReport) -> String {
    let Usage {
        cpu,
        peak_memory,
        disk_read,
        disk_written,
        network,
    } = report.usage;
    let (hits, lookups) = (report.cache_hits, report.cache_hits + report.cache_misses);
    let parts = [
        cpu.map(|cpu| format!("{:.2} s CPU time", cpu.as_secs_f64())),
        peak_memory.map(|bytes| format!("{} peak memory", ByteSize(bytes))),
        disk_read.map(|bytes| format!("{} read from disk", ByteSize(bytes))),
        disk_written.map(|bytes| format!("{} written to disk", ByteSize(bytes))),
        network.map(|bytes| format!("{} network traffic", ByteSize(bytes))),
        (lookups > 0).then(|| format!("{hits} of {lookups} cache lookups hit")),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use runtime_core::{Run, TaskId};

    use super::*;
    use crate::report::TaskReportBuilder;

    #[test]
    fn unmeasured_values_are_left_out() {
        let run = Run {
            task_id: TaskId::random(),
            run_id: 0,
        };
        let builder = TaskReportBuilder::new(run, "task".to_owned());
        assert_eq!(summary(&builder.snapshot()), "");
        builder.set_usage(Usage {
            cpu: Some(Duration::from_millis(1234)),
            peak_memory: Some(3 << 20),
            ..Usage::default()
        });
        builder.add_cache_use(true);
        builder.add_cache_use(false);
        builder.add_cache_use(false);
        assert_eq!(
            summary(&builder.snapshot()),
            "1.23 s CPU time, 3.0 MiB peak memory, 1 of 3 cache lookups hit"
        );
    }
}
