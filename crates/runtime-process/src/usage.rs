//! Samples the resource usage of a command while it runs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use runtime_worker::report::{TaskReportBuilder, Usage};
use rustix::process::Pid;
use tokio::task::JoinHandle;

use crate::cgroup::CgroupUsage;
use crate::proc::{self, DiskIo};

/// The delay before the first sample. Each following delay is twice as long, up to the maximum: even short
/// commands get a sample, and long ones cost little.
const FIRST_SAMPLE_DELAY: Duration = Duration::from_millis(50);
const MAX_SAMPLE_DELAY: Duration = Duration::from_secs(2);

/// Clock ticks per second in `/proc`: the ABI constant `USER_HZ`, 100 on all architectures that Rust supports.
const TICKS_PER_SECOND: u32 = 100;

/// Writes the usage of a command into the report of its task, in addition to that of earlier commands.
pub(crate) struct UsageSampler {
    report: Arc<TaskReportBuilder>,
    /// The usage of earlier commands.
    earlier: Usage,
    /// The usage of this command up to the last sample.
    sampled: Arc<Mutex<Usage>>,
    task: JoinHandle<()>,
}

impl UsageSampler {
    /// Starts to sample the processes of the session that `leader` leads.
    pub(crate) fn start(leader: Pid, report: Arc<TaskReportBuilder>) -> Self {
        let session = leader.as_raw_nonzero().get();
        let earlier = report.usage();
        let sampled = Arc::default();
        let task = tokio::spawn(sample_session(
            session,
            earlier,
            Arc::clone(&report),
            Arc::clone(&sampled),
        ));
        Self {
            report,
            earlier,
            sampled,
            task,
        }
    }

    /// Stops sampling. The counts of a control group replace the samples.
    pub(crate) async fn finish(mut self, exact: &CgroupUsage) {
        self.task.abort();
        // Waits, so that a late sample does not overwrite the exact usage.
        let _ = (&mut self.task).await;
        let mut usage = *self.sampled.lock();
        usage.cpu = exact.cpu.or(usage.cpu);
        usage.peak_memory = exact.peak_memory.or(usage.peak_memory);
        self.report.set_usage(self.earlier.then(&usage));
    }
}

impl Drop for UsageSampler {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn sample_session(
    session: i32,
    earlier: Usage,
    report: Arc<TaskReportBuilder>,
    sampled: Arc<Mutex<Usage>>,
) {
    let mut samples = SessionSamples::default();
    let mut delay = FIRST_SAMPLE_DELAY;
    loop {
        tokio::time::sleep(delay).await;
        delay = (delay * 2).min(MAX_SAMPLE_DELAY);
        let updated = tokio::task::spawn_blocking(move || {
            samples.update(session);
            samples
        });
        // The only possible error is a panic of the closure.
        let Ok(updated) = updated.await else { return };
        samples = updated;
        let usage = samples.usage();
        *sampled.lock() = usage;
        report.set_usage(earlier.then(&usage));
    }
}

/// The latest sample of each process of a session. The sample of an ended process is kept.
#[derive(Debug, Default)]
struct SessionSamples {
    by_process: BTreeMap<i32, Sample>,
    peak_memory: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sample {
    cpu_ticks: u64,
    disk: DiskIo,
}

impl SessionSamples {
    fn update(&mut self, session: i32) {
        let mut memory = 0;
        for stat in proc::all_stats().filter(|stat| stat.session == session) {
            let sample = Sample {
                cpu_ticks: stat.cpu_ticks,
                disk: proc::disk_io(stat.pid),
            };
            self.by_process.insert(stat.pid, sample);
            memory += proc::resident_memory(stat.pid);
        }
        self.peak_memory = self.peak_memory.max(memory);
    }

    fn usage(&self) -> Usage {
        let sum = |field: fn(&Sample) -> u64| self.by_process.values().map(field).sum::<u64>();
        let millis = sum(|sample| sample.cpu_ticks) * u64::from(1000 / TICKS_PER_SECOND);
        Usage {
            cpu: Some(Duration::from_millis(millis)),
            peak_memory: Some(self.peak_memory),
            disk_read: Some(sum(|sample| sample.disk.read)),
            disk_written: Some(sum(|sample| sample.disk.written)),
            network: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_session_uses_memory() {
        let own = i32::try_from(std::process::id()).expect("pids are small");
        let stat = proc::all_stats().find(|stat| stat.pid == own);
        let mut samples = SessionSamples::default();
        samples.update(stat.expect("this process is listed").session);
        assert!(samples.usage().peak_memory.is_some_and(|bytes| bytes > 0));
    }
}
