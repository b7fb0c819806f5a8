//! What a task used.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use runtime_core::TaskError;

use crate::record::Facts;
use crate::{Plugin, TaskPlugin, TaskRun};

/// Writes what a task used to its log and to the monitor: time of processors, peak memory, bytes read
/// from and written to disk, hits of caches. It does so for a task that was stopped, too.
///
/// What an engine does not measure is left out. The process engine measures a process by what the
/// operating system counts for it; traffic on networks is not counted by process, so it is absent there.
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
        Ok(Some(Box::new(Meter(run.clone()))))
    }
}

struct Meter(TaskRun);

#[async_trait]
impl TaskPlugin for Meter {
    fn closing_log(&mut self) {
        let facts = self.0.record.facts();
        let text = Summary(&facts).to_string();
        if !text.is_empty() {
            self.0.context.log(format_args!("Resources: {text}"));
        }
        let monitor = self.0.monitor();
        let usage = &facts.usage;
        if let Some(cpu) = usage.cpu {
            monitor.measure_duration("task-cpu", cpu);
        }
        if let Some(memory) = usage.peak_memory {
            monitor.measure("task-peak-memory", memory as f64);
        }
    }
}

struct Summary<'a>(&'a Facts);

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Facts {
            usage,
            cache_hits,
            cache_misses,
            ..
        } = self.0;
        let cached = cache_hits + cache_misses;
        let parts = [
            usage
                .cpu
                .map(|cpu| format!("{} of processor time", seconds(cpu))),
            usage
                .peak_memory
                .map(|bytes| format!("{} of memory at the peak", mebibytes(bytes))),
            usage
                .disk_read
                .map(|bytes| format!("{} read from disk", mebibytes(bytes))),
            usage
                .disk_written
                .map(|bytes| format!("{} written to disk", mebibytes(bytes))),
            usage
                .network
                .map(|bytes| format!("{} over networks", mebibytes(bytes))),
            (cached > 0).then(|| format!("{cache_hits} of {cached} cached things were there")),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        f.write_str(&parts.join(", "))
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:.2} s", duration.as_secs_f64())
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Usage;

    #[test]
    fn what_is_not_measured_is_left_out() {
        let mut facts = Facts::default();
        assert_eq!(Summary(&facts).to_string(), "");
        facts.usage = Usage {
            cpu: Some(Duration::from_millis(1234)),
            peak_memory: Some(3 << 20),
            ..Usage::default()
        };
        facts.cache_hits = 1;
        facts.cache_misses = 2;
        assert_eq!(
            Summary(&facts).to_string(),
            "1.23 s of processor time, 3.0 MiB of memory at the peak, 1 of 3 cached things were there"
        );
    }
}
