//! The counts of the kernel for a group.

use std::time::Duration;

use super::folder::GroupFolder;

/// The counts of the kernel for a group. A count is `None` if no hierarchy has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CgroupUsage {
    /// CPU time of all members, including those that have ended.
    pub cpu: Option<Duration>,
    /// Current memory of all members together in bytes, without files in the page cache that the kernel can drop.
    /// `None` after their end.
    pub memory: Option<u64>,
    /// Maximum memory of all members together in bytes, with the page cache of their files.
    pub peak_memory: Option<u64>,
    /// The number of members that were killed because memory ran out. In version 1, without those of inner groups.
    pub oom_kills: Option<u64>,
    /// The number of failed attempts to create a process because of the limit of their number.
    pub refused_forks: Option<u64>,
    /// Bytes that were read from disks, counted by version 2 only.
    pub disk_read: Option<u64>,
    /// Bytes that were written to disks, counted by version 2 only.
    pub disk_written: Option<u64>,
    /// The time that members have waited for memory, counted by version 2 only.
    pub memory_pressure: Option<Pressure>,
    /// The time that members have waited for a CPU, counted by version 2 only.
    pub cpu_pressure: Option<Pressure>,
    /// The time that members have waited for disks, counted by version 2 only.
    pub io_pressure: Option<Pressure>,
}

/// The time during which the members of a group waited for a scarce resource ("pressure stall information").
///
/// Both values only grow. The pressure during an interval is the growth of a value divided by the length of the
/// interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pressure {
    /// The time during which at least one member waited.
    pub some: Duration,
    /// The time during which all members that could have run waited. Zero for CPUs before Linux 5.13.
    pub full: Duration,
}

impl CgroupUsage {
    /// Returns whether the kernel killed a member because memory ran out.
    #[must_use]
    pub fn oom_killed(&self) -> bool {
        self.oom_kills.is_some_and(|kills| kills > 0)
    }

    /// Returns whether a process could not be created because of the limit of their number.
    #[must_use]
    pub fn pids_exhausted(&self) -> bool {
        self.refused_forks.is_some_and(|forks| forks > 0)
    }

    /// Reads the counts of a group, but not its current memory.
    pub(super) fn read(folders: &[GroupFolder]) -> Self {
        let counts = CounterFiles(folders);
        Self {
            oom_kills: (counts.labelled("memory.events", "oom_kill"))
                .or_else(|| counts.labelled("memory.oom_control", "oom_kill")),
            refused_forks: counts.labelled("pids.events", "max"),
            memory_pressure: counts.pressure("memory.pressure"),
            cpu_pressure: counts.pressure("cpu.pressure"),
            io_pressure: counts.pressure("io.pressure"),
            ..Self::read_totals(folders)
        }
    }

    /// Reads CPU time, peak memory and disk traffic.
    pub(super) fn read_totals(folders: &[GroupFolder]) -> Self {
        let counts = CounterFiles(folders);
        Self {
            peak_memory: (counts.number("memory.peak"))
                .or_else(|| counts.number("memory.max_usage_in_bytes")),
            ..counts.cpu_and_disk()
        }
    }

    /// Reads CPU time, disk traffic, current memory, and the time that members have waited for it.
    pub(super) fn read_sample(folders: &[GroupFolder]) -> Self {
        let counts = CounterFiles(folders);
        let sample = Self {
            memory_pressure: counts.pressure("memory.pressure"),
            ..counts.cpu_and_disk()
        };
        sample.with_memory(folders)
    }

    /// Adds the current memory of a group.
    pub(super) fn with_memory(mut self, folders: &[GroupFolder]) -> Self {
        let counts = CounterFiles(folders);
        // The list of inactive files counts those of inner groups too, which has its own name in version 1.
        let files = [
            ("memory.current", "inactive_file"),
            ("memory.usage_in_bytes", "total_inactive_file"),
        ];
        self.memory = files.into_iter().find_map(|(file, label)| {
            let all = counts.number(file)?;
            let droppable = counts.labelled("memory.stat", label).unwrap_or(0);
            Some(all.saturating_sub(droppable))
        });
        self
    }
}

/// The files of a group in all hierarchies. Each is read from the first one that has it.
struct CounterFiles<'a>(&'a [GroupFolder]);

impl CounterFiles<'_> {
    fn number(&self, file: &str) -> Option<u64> {
        self.0.iter().find_map(|folder| folder.read_number(file))
    }

    fn labelled(&self, file: &str, label: &str) -> Option<u64> {
        let mut folders = self.0.iter();
        folders.find_map(|folder| folder.read_labelled(file, label))
    }

    fn cpu_and_disk(&self) -> CgroupUsage {
        // The name of version 2 precedes that of version 1.
        let micros = self.labelled("cpu.stat", "usage_usec");
        let nanos = || self.number("cpuacct.usage").map(Duration::from_nanos);
        let disks = self.0.iter().find_map(|it| it.read("io.stat"));
        let sum = |label| disks.as_deref().map(|disks| sum_of_disks(disks, label));
        CgroupUsage {
            cpu: micros.map(Duration::from_micros).or_else(nanos),
            disk_read: sum("rbytes="),
            disk_written: sum("wbytes="),
            ..CgroupUsage::default()
        }
    }

    fn pressure(&self, file: &str) -> Option<Pressure> {
        parse_pressure(&self.0.iter().find_map(|it| it.read(file))?)
    }
}

/// Returns the sum of a count over all disks.
fn sum_of_disks(disks: &str, label: &str) -> u64 {
    let counts = disks.split_whitespace();
    let counts = counts.filter_map(|count| count.strip_prefix(label)?.parse::<u64>().ok());
    counts.fold(0, u64::saturating_add)
}

/// Parses lines such as `some avg10=0.00 avg60=0.00 avg300=0.00 total=1234`, whose total is in microseconds.
fn parse_pressure(text: &str) -> Option<Pressure> {
    let total = |kind: &str| {
        let mut lines = text.lines().filter_map(|line| line.split_once(' '));
        let (_, line) = lines.find(|(found, _)| *found == kind)?;
        let (_, total) = line.rsplit_once("total=")?;
        total.trim().parse().ok().map(Duration::from_micros)
    };
    Some(Pressure {
        some: total("some")?,
        full: total("full").unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io;

    use super::*;

    /// A group with these files.
    fn group(parent: &tempfile::TempDir, files: &[(&str, &str)]) -> io::Result<GroupFolder> {
        let folder = GroupFolder::create(parent.path(), "group")?;
        for (name, content) in files {
            fs::write(folder.path().join(name), content)?;
        }
        Ok(folder)
    }

    #[test]
    fn disk_traffic_is_summed_over_disks() -> io::Result<()> {
        assert_eq!(CgroupUsage::read(&[]), CgroupUsage::default());
        let parent = tempfile::tempdir()?;
        let counts =
            "8:0 rbytes=4096 wbytes=1 rios=1 wios=1\n8:16 rbytes=4 wbytes=20 rios=9 wios=9\n";
        let usage = CgroupUsage::read(&[group(&parent, &[("io.stat", counts)])?]);
        assert_eq!(
            (usage.disk_read, usage.disk_written),
            (Some(4100), Some(21))
        );
        Ok(())
    }

    #[test]
    fn parts_have_the_counts_of_the_whole() -> io::Result<()> {
        let parent = tempfile::tempdir()?;
        let files = [
            ("cpu.stat", "usage_usec 7\n"),
            ("memory.peak", "9\n"),
            ("memory.current", "8\n"),
            ("memory.events", "oom_kill 1\n"),
            ("io.stat", "8:0 rbytes=4096 wbytes=1\n"),
            ("memory.pressure", "some total=5\n"),
        ];
        let group = [group(&parent, &files)?];
        let whole = CgroupUsage::read(&group);
        let (totals, sample) = (
            CgroupUsage::read_totals(&group),
            CgroupUsage::read_sample(&group),
        );
        let expected = CgroupUsage {
            oom_kills: None,
            memory_pressure: None,
            ..whole
        };
        assert_eq!((totals, totals.peak_memory), (expected, Some(9)));
        let expected = CgroupUsage {
            memory: Some(8),
            peak_memory: None,
            oom_kills: None,
            ..whole
        };
        assert_eq!((sample, sample.disk_read), (expected, Some(4096)));
        assert!(sample.memory_pressure.is_some() && whole.oom_killed());
        Ok(())
    }

    #[test]
    fn current_memory_excludes_unused_files() -> io::Result<()> {
        let versions = [
            ("memory.current", "anon 5\ninactive_file 40\n"),
            (
                "memory.usage_in_bytes",
                "inactive_file 1\ntotal_inactive_file 40\n",
            ),
        ];
        for (file, stat) in versions {
            let parent = tempfile::tempdir()?;
            let folder = group(&parent, &[(file, "100\n"), ("memory.stat", stat)])?;
            let usage = CgroupUsage::default().with_memory(&[folder]);
            assert_eq!(usage.memory, Some(60), "{file}");
        }
        Ok(())
    }

    #[test]
    fn pressure_is_the_total_of_stalls() {
        let text = "some avg10=1.50 avg60=0.00 avg300=0.00 total=1500\n\
                    full avg10=0.00 avg60=0.00 avg300=0.00 total=20\n";
        let (some, full) = (Duration::from_micros(1500), Duration::from_micros(20));
        assert_eq!(parse_pressure(text), Some(Pressure { some, full }));
        let old = parse_pressure(text.lines().next().unwrap_or_default());
        let full = Duration::ZERO;
        assert_eq!(old, Some(Pressure { some, full }));
        for text in ["", "some", "some total=", "some total=-1", "full total=1"] {
            assert_eq!(parse_pressure(text), None, "{text}");
        }
    }
}
