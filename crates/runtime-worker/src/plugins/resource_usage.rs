//! Logs the resource usage of tasks, and uploads the usage of their commands over time.

use std::sync::Arc;

use async_trait::async_trait;
use runtime_core::TaskError;
use runtime_core::artifact::{
    Artifact, ArtifactBody, ArtifactHeaders, ArtifactSource, ContentEncoding, S3Artifact,
};
use runtime_core::util::ByteSize;

use super::usage_document::document;
use crate::engine::ResultSet;
use crate::plugin::{Plugin, TaskPlugin};
use crate::report::{TaskReport, Usage};
use crate::resolution::Verdict;
use crate::task_run::TaskRun;

/// Writes the resource usage of every task to its log and to the monitor: CPU time, peak memory, disk traffic and
/// cache hits. Tasks that were stopped are included.
///
/// Values that the engine does not measure are omitted. The process engine does not measure network traffic.
///
/// Optionally, an artifact contains the usage of each command over time. If its upload fails, this is reported only to
/// the monitor.
///
/// ```
/// # use runtime_worker::plugins::ResourceUsage;
/// let plugin = ResourceUsage::new().artifact("public/resource-usage.json");
/// # let _ = plugin;
/// ```
#[derive(Clone, Debug, Default)]
pub struct ResourceUsage {
    artifact: Option<String>,
}

impl ResourceUsage {
    /// Creates the plugin without an artifact.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the name of an artifact with the usage of each command over time, as JSON.
    ///
    /// The artifact is an object with a list `commands`. Each command has `cpuSeconds`, `peakMemoryBytes`,
    /// `diskReadBytes`, `diskWrittenBytes`, and a list `samples`. Each sample has the `seconds` since the start of the
    /// command, and the values of `memoryBytes`, `memoryPressureSeconds`, `cpuSeconds`, `diskReadBytes` and
    /// `diskWrittenBytes` at this time. Tasks that were stopped have no such artifact.
    #[must_use]
    pub fn artifact(mut self, name: impl Into<String>) -> Self {
        self.artifact = Some(name.into());
        self
    }
}

#[async_trait]
impl Plugin for ResourceUsage {
    fn name(&self) -> &'static str {
        "resources"
    }

    async fn new_task_plugin(
        &self,
        run: &TaskRun,
    ) -> Result<Option<Box<dyn TaskPlugin>>, TaskError> {
        Ok(Some(Box::new(UsageReporter {
            run: run.clone(),
            artifact: self.artifact.clone(),
        })))
    }
}

struct UsageReporter {
    run: TaskRun,
    artifact: Option<String>,
}

#[async_trait]
impl TaskPlugin for UsageReporter {
    async fn stopped(&mut self, _: &Arc<dyn ResultSet>) -> Result<Verdict, TaskError> {
        if let Some(name) = &self.artifact {
            let document = document(&self.run.report.snapshot().commands);
            let artifact = Artifact {
                name: name.clone(),
                expires: None,
                content: ArtifactBody::S3(S3Artifact {
                    content_type: "application/json".to_owned(),
                    encoding: ContentEncoding::Gzip,
                    headers: ArtifactHeaders::new(),
                    source: ArtifactSource::Bytes(document.into()),
                }),
            };
            // The result of the task does not depend on it.
            if let Err(error) = self.run.context.upload(&artifact).await {
                let message = "cannot upload the resource usage of a task";
                self.run.monitor().report_warning(&error, message);
            }
        }
        Ok(Verdict::Success)
    }

    fn closing_log(&mut self) {
        let report = self.run.report.snapshot();
        let summary = summary(&report);
        if !summary.is_empty() {
            self.run.context.log(format_args!("Resources: {summary}"));
        }
        let monitor = self.run.monitor();
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
