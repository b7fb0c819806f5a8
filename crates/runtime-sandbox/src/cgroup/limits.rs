//! Limits of a group.

use std::fs;
use std::io;

use super::folder::GroupFolder;

/// The period of CPU limits in microseconds, the default of the kernel.
const CPU_PERIOD: u64 = 100_000;

/// The shortest CPU time per period that the kernel accepts, in microseconds.
const MIN_CPU_QUOTA: u64 = 1000;

/// The limits of all processes of a group together. A limit of `None` is not set.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct CgroupLimits {
    /// Memory in bytes, including the page cache of files. Above it, the kernel kills processes of the group.
    pub(crate) memory: Option<u64>,
    /// Swap space in bytes, in addition to the memory. It applies only with a limit of memory.
    pub(crate) swap: u64,
    /// The number of processes and threads. Above it, `fork` fails.
    pub(crate) pids: Option<u64>,
    /// The number of CPUs whose time the group may use, such as 1.5.
    pub(crate) cpus: Option<f64>,
    /// The share of CPU time, if several groups want more than there is: 1 to 10 000. The default of the kernel is 100.
    pub(crate) cpu_weight: Option<u32>,
    /// Goes on without limits that cannot be set.
    pub(crate) best_effort: bool,
}

/// A limit cannot be set.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CgroupLimitError {
    /// The group has no file for the limit.
    #[error(
        "cannot limit {limit}: this process has no control groups with that controller; delegate them to this user, \
         or use `best_effort`"
    )]
    Unsupported {
        /// What should be limited.
        limit: &'static str,
    },

    /// The value is out of range.
    #[error("invalid limit of {limit}: {value}; expected {expected}")]
    Invalid {
        /// What should be limited.
        limit: &'static str,
        /// The value.
        value: String,
        /// A description of valid values.
        expected: &'static str,
    },

    /// The kernel refused the value.
    #[error("cannot limit {limit}: the kernel refused to write `{value}` to `{file}`")]
    Refused {
        /// What should be limited.
        limit: &'static str,
        /// The value in the form of the kernel.
        value: String,
        /// The file in the folder of the group.
        file: &'static str,
        /// The error of the operating system.
        source: io::Error,
    },
}

/// The files of a limit with their values, for version 2 and for version 1. Those of one version are written in order.
struct LimitFiles {
    limit: &'static str,
    v2: Vec<(&'static str, String)>,
    v1: Vec<(&'static str, String)>,
    /// Whether the limit has no effect on this machine, so that its files may be missing.
    is_optional: bool,
}

impl CgroupLimits {
    /// Sets the limits. Each is set in the first folder that has its file. With best effort, those that cannot be set
    /// are returned.
    pub(super) fn apply(
        &self,
        folders: &[GroupFolder],
    ) -> Result<Vec<&'static str>, CgroupLimitError> {
        let mut missing = Vec::new();
        for files in self.files()? {
            match files.write(folders) {
                Err(_) if self.best_effort => missing.push(files.limit),
                written => written?,
            }
        }
        Ok(missing)
    }

    /// Returns whether a limit is set.
    pub(crate) fn is_set(&self) -> bool {
        self.memory.is_some() || self.pids.is_some() || self.limit_cpu()
    }

    pub(super) fn limit_cpu(&self) -> bool {
        self.cpus.is_some() || self.cpu_weight.is_some()
    }

    /// Returns the files of the limit of swap. Version 1 limits the sum of memory and swap.
    fn swap_files(&self, memory: u64) -> LimitFiles {
        let sum = memory.saturating_add(self.swap);
        LimitFiles {
            limit: "swap",
            v2: vec![("memory.swap.max", self.swap.to_string())],
            v1: vec![("memory.memsw.limit_in_bytes", sum.to_string())],
            is_optional: !has_swap(),
        }
    }

    fn files(&self) -> Result<Vec<LimitFiles>, CgroupLimitError> {
        let mut all = Vec::new();
        if let Some(bytes) = self.memory {
            all.push(LimitFiles::same(
                "memory",
                ["memory.max", "memory.limit_in_bytes"],
                bytes,
            ));
            // After the memory: version 1 refuses a sum below the limit of the memory, which is
            // unlimited at first.
            all.push(self.swap_files(bytes));
        }
        if let Some(count) = self.pids {
            all.push(LimitFiles::same(
                "processes",
                ["pids.max", "pids.max"],
                count,
            ));
        }
        if let Some(cpus) = self.cpus {
            let quota = cpu_quota(cpus)?;
            all.push(LimitFiles {
                limit: "CPU time",
                v2: vec![("cpu.max", format!("{quota} {CPU_PERIOD}"))],
                v1: vec![
                    ("cpu.cfs_period_us", CPU_PERIOD.to_string()),
                    ("cpu.cfs_quota_us", quota.to_string()),
                ],
                is_optional: false,
            });
        }
        if let Some(weight) = self.cpu_weight {
            if !(1..=10_000).contains(&weight) {
                return Err(CgroupLimitError::Invalid {
                    limit: "CPU weight",
                    value: weight.to_string(),
                    expected: "1 to 10000",
                });
            }
            // The defaults of the versions are 100 and 1024, and the smallest share is 2.
            let shares = (u64::from(weight) * 1024 / 100).max(2);
            all.push(LimitFiles {
                limit: "CPU weight",
                v2: vec![("cpu.weight", weight.to_string())],
                v1: vec![("cpu.shares", shares.to_string())],
                is_optional: false,
            });
        }
        Ok(all)
    }
}

/// Returns whether the machine swaps. The kernel may lack the files of the limit otherwise.
fn has_swap() -> bool {
    // The first line is a title.
    fs::read_to_string("/proc/swaps").is_ok_and(|swaps| swaps.lines().count() > 1)
}

/// Returns the CPU time per period in microseconds.
fn cpu_quota(cpus: f64) -> Result<u64, CgroupLimitError> {
    let quota = (cpus * CPU_PERIOD as f64).round();
    // Excludes NaN as well.
    if !(quota >= MIN_CPU_QUOTA as f64 && quota <= f64::from(u32::MAX)) {
        return Err(CgroupLimitError::Invalid {
            limit: "CPU time",
            value: format!("{cpus} CPUs"),
            expected: "0.01 to 42949 CPUs",
        });
    }
    Ok(quota as u64)
}

impl LimitFiles {
    fn same(limit: &'static str, [v2, v1]: [&'static str; 2], value: u64) -> Self {
        Self {
            limit,
            v2: vec![(v2, value.to_string())],
            v1: vec![(v1, value.to_string())],
            is_optional: false,
        }
    }

    fn write(&self, folders: &[GroupFolder]) -> Result<(), CgroupLimitError> {
        let has_all = |folder: &GroupFolder, files: &[(&str, String)]| {
            files.iter().all(|(file, _)| folder.has(file))
        };
        for folder in folders {
            let mut versions = [&self.v2, &self.v1].into_iter();
            if let Some(files) = versions.find(|files| has_all(folder, files)) {
                return self.write_files(folder, files);
            }
        }
        if self.is_optional {
            return Ok(());
        }
        Err(CgroupLimitError::Unsupported { limit: self.limit })
    }

    fn write_files(
        &self,
        folder: &GroupFolder,
        files: &[(&'static str, String)],
    ) -> Result<(), CgroupLimitError> {
        for (file, value) in files {
            let written = folder.write(file, value);
            written.map_err(|source| CgroupLimitError::Refused {
                limit: self.limit,
                value: value.clone(),
                file,
                source,
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A folder with the files of controllers.
    fn group(parent: &tempfile::TempDir, files: &[&str]) -> GroupFolder {
        let name = format!("group-of-{}", files[0]);
        let folder = GroupFolder::create(parent.path(), &name).expect("a folder of the test");
        for file in files {
            fs::write(folder.path().join(file), "").expect("a file of the test");
        }
        folder
    }

    const ALL: CgroupLimits = CgroupLimits {
        memory: Some(1 << 30),
        swap: 1 << 20,
        pids: Some(64),
        cpus: Some(1.5),
        cpu_weight: Some(50),
        best_effort: false,
    };

    #[test]
    fn limits_of_v2_are_written() -> io::Result<()> {
        let parent = tempfile::tempdir()?;
        let files = [
            "memory.max",
            "memory.swap.max",
            "pids.max",
            "cpu.max",
            "cpu.weight",
        ];
        let folder = group(&parent, &files);
        let missing = ALL.apply(&[folder]).expect("all files exist");
        assert_eq!(missing, [""; 0]);
        let path = parent.path().join("group-of-memory.max");
        let written = files.map(|file| fs::read_to_string(path.join(file)).unwrap_or_default());
        let expected = ["1073741824", "1048576", "64", "150000 100000", "50"];
        assert_eq!(written, expected);
        Ok(())
    }

    #[test]
    fn limits_of_v1_are_spread_over_hierarchies() -> io::Result<()> {
        let parent = tempfile::tempdir()?;
        let memory = group(
            &parent,
            &["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"],
        );
        let cpu = group(
            &parent,
            &["cpu.cfs_quota_us", "cpu.cfs_period_us", "cpu.shares"],
        );
        let unified = group(&parent, &["cgroup.kill", "cpu.stat"]);
        let limits = CgroupLimits { pids: None, ..ALL };
        let folders = [unified, memory, cpu];
        limits.apply(&folders).expect("all files exist");
        let [_, memory, cpu] = folders;
        assert_eq!(memory.read_number("memory.limit_in_bytes"), Some(1 << 30));
        let sum = memory.read_number("memory.memsw.limit_in_bytes");
        assert_eq!(sum, Some((1 << 30) + (1 << 20)));
        assert_eq!(cpu.read_number("cpu.cfs_quota_us"), Some(150_000));
        assert_eq!(cpu.read_number("cpu.cfs_period_us"), Some(100_000));
        assert_eq!(cpu.read_number("cpu.shares"), Some(512));
        Ok(())
    }

    #[test]
    fn limit_without_controller_is_an_error() -> io::Result<()> {
        let parent = tempfile::tempdir()?;
        let folders = [group(&parent, &["memory.max", "memory.swap.max"])];
        let error = ALL.apply(&folders);
        let error = error.expect_err("there is no `pids.max`");
        let is_pids = matches!(error, CgroupLimitError::Unsupported { limit: "processes" });
        assert!(is_pids, "{error}");
        let best_effort = CgroupLimits {
            best_effort: true,
            ..ALL
        };
        let missing = best_effort.apply(&folders).expect("best effort");
        assert_eq!(missing, ["processes", "CPU time", "CPU weight"]);
        Ok(())
    }

    #[test]
    fn invalid_cpu_limits_are_errors() {
        let refuse = |limits: CgroupLimits, expected: &str| {
            let error = limits.apply(&[]).expect_err("it is out of range");
            assert!(error.to_string().contains(expected), "{error}");
        };
        for cpus in [0.0, -1.0, 0.001, f64::NAN, f64::INFINITY, f64::MAX] {
            let limits = CgroupLimits {
                cpus: Some(cpus),
                ..CgroupLimits::default()
            };
            refuse(limits, "0.01");
        }
        for weight in [0, 10_001, u32::MAX] {
            let limits = CgroupLimits {
                cpu_weight: Some(weight),
                ..CgroupLimits::default()
            };
            refuse(limits, "10000");
        }
    }
}
