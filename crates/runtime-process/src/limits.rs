//! The limits of the commands of tasks: settings of the worker, and lower values in payloads.

use std::fmt;

use runtime_core::MalformedPayloadError;
use runtime_core::util::{ByteSize, at_least};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::payload::ProcessPayload;

/// The minimum of the memory limit in bytes. With much less, not even a shell starts, and the run would end with an
/// internal error.
const MIN_MEMORY: u64 = 16 << 20;

/// The minimum of the disk space limit in bytes. An empty folder needs disk space too.
const MIN_DISK: u64 = 1 << 20;

/// The maximum of the process limit: the number of process ids of the kernel. Three are reserved: for the init process, and
/// for those that connect its network.
const MAX_PROCESSES: u64 = (4 << 20) - 3;

/// The minimum of the CPU limit that the kernel accepts.
const MIN_CPUS: f64 = 0.01;

/// The maximum of the CPU limit.
const MAX_CPUS: f64 = 10_000.0;

/// The limits of each command of a task. They apply to the sum of all processes of the command.
///
/// Each limit is the default for tasks, and the maximum value that payloads may ask for with `maxMemory`,
/// `maxProcesses`, `maxCpus` and `maxDisk`. With `None`, there is no limit, and payloads may ask for any value. All
/// limits except that of disk space need control groups; see [`best_effort`](Self::best_effort) for machines without
/// control groups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TaskLimits {
    /// Memory in bytes, including the page cache of files and the files in `/tmp` of isolated tasks. Swap space cannot
    /// be used in addition. When the limit is exceeded, the kernel kills a process. At least 16 MiB. Default: none.
    #[serde(with = "ByteSize")]
    #[schemars(transform = at_least("16 MiB"))]
    pub memory: Option<u64>,
    /// The maximum number of processes and threads. When it is reached, no more can be created. Default: none.
    #[schemars(range(min = 1, max = MAX_PROCESSES))]
    pub processes: Option<u64>,
    /// The number of CPUs whose time the processes may use, such as 1.5. Default: none.
    #[schemars(range(min = MIN_CPUS, max = MAX_CPUS))]
    pub cpus: Option<f64>,
    /// The disk space of the task's folder in bytes, without its caches. The folder is measured at intervals. When the
    /// limit is exceeded, the worker kills the command. At least 1 MiB. Default: none.
    #[serde(with = "ByteSize")]
    #[schemars(transform = at_least("1 MiB"))]
    pub disk: Option<u64>,
    /// Whether tasks run without the limits that this machine cannot have; this is logged. If `false`, the worker does
    /// not start with such a setting, and a payload with such a limit is malformed. Default: false.
    pub best_effort: bool,
}

/// A setting is out of range.
#[derive(Debug, thiserror::Error)]
#[error("invalid setting `limits.{name}` of the process engine: {value}; expected {expected}")]
pub(crate) struct InvalidLimitError {
    name: &'static str,
    value: String,
    expected: String,
}

impl TaskLimits {
    /// Returns whether there is a limit that needs a control group.
    pub(crate) fn needs_group(&self) -> bool {
        self.memory.is_some() || self.processes.is_some() || self.cpus.is_some()
    }

    /// Checks the values of the settings.
    pub(crate) fn check(&self) -> Result<(), InvalidLimitError> {
        let checks = [
            ("memory", self.memory.and_then(check_memory)),
            ("processes", self.processes.and_then(check_processes)),
            ("cpus", self.cpus.and_then(check_cpus)),
            ("disk", self.disk.and_then(check_disk)),
        ];
        let mut invalid = checks.into_iter().filter_map(|(name, range)| {
            let (value, expected) = range?;
            Some(InvalidLimitError {
                name,
                value,
                expected,
            })
        });
        invalid.next().map_or(Ok(()), Err)
    }

    /// Returns the limits of a task with this payload.
    ///
    /// # Errors
    ///
    /// A message for each value that is out of range or above the worker's limit.
    pub(crate) fn of_task(&self, payload: &ProcessPayload) -> Result<Self, MalformedPayloadError> {
        let size = |bytes: u64| ByteSize(bytes).to_exact_text();
        let errors = [
            (payload.max_memory).and_then(|value| {
                let range = check_memory(value);
                check("maxMemory", value, self.memory, range, size)
            }),
            (payload.max_processes).and_then(|value| {
                let range = check_processes(value);
                check("maxProcesses", value, self.processes, range, |it| {
                    it.to_string()
                })
            }),
            (payload.max_cpus).and_then(|value| {
                let range = check_cpus(value);
                check("maxCpus", value, self.cpus, range, |it| it.to_string())
            }),
            (payload.max_disk)
                .and_then(|value| check("maxDisk", value, self.disk, check_disk(value), size)),
        ];
        if let Some(error) = MalformedPayloadError::merge(errors.into_iter().flatten()) {
            return Err(error);
        }
        Ok(Self {
            memory: payload.max_memory.or(self.memory),
            processes: payload.max_processes.or(self.processes),
            cpus: payload.max_cpus.or(self.cpus),
            disk: payload.max_disk.or(self.disk),
            best_effort: self.best_effort,
        })
    }

    /// Returns an explanation for the log of a failed command that could not create a process.
    #[cfg(unix)]
    pub(crate) fn explain_refused_forks(&self, refused: Option<u64>) -> Option<String> {
        let limit = self.processes?;
        (refused? > 0).then(|| {
            format!("No more processes: the limit of {limit} processes and threads was reached")
        })
    }
}

/// Checks a value of a payload. Returns an error if it is out of range or above the limit of the worker.
fn check<T: Copy + PartialOrd>(
    name: &str,
    value: T,
    ceiling: Option<T>,
    range: Option<OutOfRange>,
    text: impl Fn(T) -> String,
) -> Option<MalformedPayloadError> {
    let message = match (range, ceiling) {
        (Some((value, expected)), _) => format!("`{name}` is {value}; expected {expected}"),
        (None, Some(ceiling)) if value > ceiling => format!(
            "`{name}` is {}, and this worker permits at most {}",
            text(value),
            text(ceiling)
        ),
        _ => return None,
    };
    Some(MalformedPayloadError::new(message))
}

/// The value, and a description of valid values.
type OutOfRange = (String, String);

fn check_memory(bytes: u64) -> Option<OutOfRange> {
    check_least(bytes, MIN_MEMORY)
}

fn check_disk(bytes: u64) -> Option<OutOfRange> {
    check_least(bytes, MIN_DISK)
}

fn check_least(bytes: u64, least: u64) -> Option<OutOfRange> {
    let size = |bytes| ByteSize(bytes).to_exact_text();
    (bytes < least).then(|| (size(bytes), format!("at least {}", size(least))))
}

fn check_processes(count: u64) -> Option<OutOfRange> {
    let is_valid = (1..=MAX_PROCESSES).contains(&count);
    (!is_valid).then(|| (count.to_string(), format!("1 to {MAX_PROCESSES}")))
}

fn check_cpus(cpus: f64) -> Option<OutOfRange> {
    // Excludes NaN as well.
    let is_valid = (MIN_CPUS..=MAX_CPUS).contains(&cpus);
    (!is_valid).then(|| (cpus.to_string(), format!("{MIN_CPUS} to {MAX_CPUS}")))
}

/// A list such as `512 MiB of memory, 100 processes`, or `none`.
impl fmt::Display for TaskLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let memory = self
            .memory
            .map(|it| format!("{} of memory", ByteSize(it).to_exact_text()));
        let processes = self
            .processes
            .map(|it| format!("{it} processes and threads"));
        let cpus = self.cpus.map(|it| format!("{it} CPUs"));
        let disk = self
            .disk
            .map(|it| format!("{} of disk space", ByteSize(it).to_exact_text()));
        let limits = [memory, processes, cpus, disk];
        let limits: Vec<_> = limits.into_iter().flatten().collect();
        f.write_str(if limits.is_empty() { "none" } else { "" })?;
        f.write_str(&limits.join(", "))
    }
}
