//! What the processes of a task use, sampled while they run.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use runtime_worker::{TaskRecord, Usage};
use tokio::task::JoinHandle;

use crate::proc::{counter, processes};

/// When the first sample is taken, and how far apart they get.
const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(2);

/// Ticks a second in what the kernel tells user programs; 100 on every Linux since 2.6.
const TICKS: u32 = 100;

/// Samples a session until it is dropped.
pub(crate) struct Sampler(JoinHandle<()>);

impl Sampler {
    /// Notes in `record` what the processes of `session` use.
    pub(crate) fn start(session: i32, record: Arc<TaskRecord>) -> Self {
        Self(tokio::spawn(async move {
            let before = record.usage();
            let mut account = Account::default();
            let mut pause = FIRST;
            loop {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST);
                let sampled = tokio::task::spawn_blocking(move || {
                    account.sample(session);
                    account
                });
                // The only error is a panic, after which there is nothing more to tell.
                let Ok(sampled) = sampled.await else { return };
                account = sampled;
                record.set_usage(before.then(&account.usage()));
            }
        }))
    }

    /// Ends it, and returns when it notes nothing any more.
    pub(crate) async fn stop(mut self) {
        self.0.abort();
        // It is no news that it was ended.
        let _ = (&mut self.0).await;
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The last sample of each process: what ended keeps what it had used by then.
#[derive(Debug, Default)]
struct Account {
    by_process: BTreeMap<i32, Sample>,
    peak_memory: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sample {
    ticks: u64,
    read: u64,
    written: u64,
}

impl Account {
    fn sample(&mut self, session: i32) {
        let mut memory = 0;
        for process in processes().filter(|process| process.session == session) {
            let folder = format!("/proc/{}", process.pid);
            let Some(ticks) = ticks(&folder) else {
                continue;
            };
            let io = fs::read_to_string(format!("{folder}/io")).unwrap_or_default();
            let sample = Sample {
                ticks,
                read: field(&io, "read_bytes:"),
                written: field(&io, "write_bytes:"),
            };
            self.by_process.insert(process.pid, sample);
            let status = fs::read_to_string(format!("{folder}/status")).unwrap_or_default();
            memory += field(&status, "VmRSS:") * 1024;
        }
        self.peak_memory = self.peak_memory.max(memory);
    }

    fn usage(&self) -> Usage {
        let sum = |of: fn(&Sample) -> u64| self.by_process.values().map(of).sum::<u64>();
        let millis = sum(|sample| sample.ticks) * u64::from(1000 / TICKS);
        Usage {
            cpu: Some(Duration::from_millis(millis)),
            peak_memory: Some(self.peak_memory),
            disk_read: Some(sum(|sample| sample.read)),
            disk_written: Some(sum(|sample| sample.written)),
            network: None,
        }
    }
}

/// Time in user and kernel mode of the process alone: children that were waited for have samples of
/// their own.
fn ticks(folder: &str) -> Option<u64> {
    let stat = fs::read_to_string(format!("{folder}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let kernel: u64 = fields.next()?.parse().ok()?;
    Some(user + kernel)
}

fn field(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|rest| rest.split_ascii_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// What a control group has counted; exact, and complete once it is empty.
pub(crate) fn of_cgroup(read: impl Fn(&str) -> Option<String>) -> Option<Usage> {
    let cpu = counter(&read("cpu.stat")?, "usage_usec")?;
    Some(Usage {
        cpu: Some(Duration::from_micros(cpu)),
        peak_memory: read("memory.peak").and_then(|peak| peak.trim().parse().ok()),
        ..Usage::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_memory() {
        let mut account = Account::default();
        let own = i32::try_from(std::process::id()).expect("pids are small");
        let session = processes()
            .find(|process| process.pid == own)
            .map(|process| process.session);
        account.sample(session.expect("this process is there"));
        assert!(account.usage().peak_memory.is_some_and(|bytes| bytes > 0));
    }

    #[test]
    fn a_control_group_tells_what_it_counted() {
        let read = |file: &str| match file {
            "cpu.stat" => Some("usage_usec 1500000\nuser_usec 1\n".to_owned()),
            "memory.peak" => Some("1048576\n".to_owned()),
            _ => None,
        };
        let usage = of_cgroup(read).expect("there is a cpu.stat");
        assert_eq!(usage.cpu, Some(Duration::from_millis(1500)));
        assert_eq!(usage.peak_memory, Some(1 << 20));
        assert_eq!(of_cgroup(|_| None), None);
    }
}
