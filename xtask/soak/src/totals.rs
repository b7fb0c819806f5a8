//! The totals of no-op tasks, in a file to which every run appends.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result};
use flate2::Crc;
use serde::{Deserialize, Serialize};

use crate::flags::Soak;

/// The build profile of this program, and of those that `cargo xtask soak` builds with it.
pub(crate) const PROFILE: &str = if cfg!(debug_assertions) {
    "not optimized"
} else {
    "optimized"
};

/// The CPU time per task may grow by this factor, from the middle third of all tasks to the last.
const CPU_FACTOR: f64 = 1.25;

/// The totals of all runs at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Total {
    pub(crate) tasks: u64,
    /// CPU time of the worker in seconds, without its tasks.
    pub(crate) cpu_time: f64,
    /// Wall time in seconds.
    pub(crate) time: f64,
    pub(crate) memory: f64,
    pub(crate) descriptors: f64,
    pub(crate) threads: f64,
    /// The number of the run, from 1.
    pub(crate) run: u64,
}

/// The measured program and its settings. Totals of different subjects are not added up.
///
/// The defaults are for lines of files from before these fields existed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Subject {
    #[serde(default = "optimized")]
    profile: String,
    #[serde(default = "no_walls")]
    isolation: String,
    /// The version: the CRC-32 of the program file, in hexadecimal.
    #[serde(default)]
    worker: Option<String>,
}

fn optimized() -> String {
    "optimized".to_owned()
}

fn no_walls() -> String {
    "none".to_owned()
}

impl Subject {
    /// Returns the worker that the options name.
    pub(crate) fn of(flags: &Soak) -> Result<Self> {
        let program = fs::read(&flags.worker);
        let program = program.with_context(|| format!("cannot read {}", flags.worker.display()))?;
        let mut crc = Crc::new();
        crc.update(&program);
        Ok(Self {
            profile: PROFILE.to_owned(),
            isolation: flags.isolation().to_owned(),
            worker: Some(format!("{:08x}", crc.sum())),
        })
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let worker = self.worker.as_deref().unwrap_or("unknown");
        let (profile, isolation) = (&self.profile, &self.isolation);
        write!(f, "{profile}, isolation: {isolation}, worker {worker}")
    }
}

/// A line of the file.
#[derive(Serialize, Deserialize)]
struct Line {
    #[serde(flatten)]
    subject: Subject,
    #[serde(flatten)]
    total: Total,
}

/// The totals of one subject, in a file that may have those of others.
pub(crate) struct TotalsFile {
    pub(crate) subject: Subject,
    pub(crate) totals: Vec<Total>,
    file: File,
}

impl TotalsFile {
    /// Reads the totals of a subject, and prints how many lines are of others.
    pub(crate) fn open(path: &Path, subject: Subject) -> Result<Self> {
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            text => text.with_context(|| format!("cannot read {}", path.display()))?,
        };
        let lines = text.lines().zip(1..).map(|(line, number)| {
            serde_json::from_str(line)
                .with_context(|| format!("line {number} of {} has no totals", path.display()))
        });
        let lines: Vec<Line> = lines.collect::<Result<_>>()?;
        let own = lines.iter().filter(|line| line.subject == subject);
        let totals: Vec<Total> = own.map(|line| line.total).collect();
        let others = lines.len() - totals.len();
        if others > 0 {
            println!(
                "{others} lines of {} are of other workers or settings and do not count",
                path.display()
            );
        }
        Ok(Self {
            subject,
            totals,
            file: File::options().append(true).create(true).open(path)?,
        })
    }

    /// Appends totals.
    pub(crate) fn add(&mut self, total: Total) -> Result<()> {
        let subject = self.subject.clone();
        let line = serde_json::to_string(&Line { subject, total })?;
        writeln!(self.file, "{line}")?;
        self.totals.push(total);
        Ok(())
    }
}

/// Describes a growth of the CPU time per task.
pub(crate) fn cpu_failure(totals: &[Total]) -> Option<String> {
    let all = totals.last()?.tasks;
    let per_task = |from, to| Some(cpu_per_task(at(totals, from)?, at(totals, to)?));
    let middle = per_task(all / 3, all * 2 / 3)?;
    let last = per_task(all * 2 / 3, all)?;
    // Not `>`: a figure that cannot be computed is a failure.
    let is_within = last <= middle * CPU_FACTOR;
    (!is_within).then(|| format!("CPU time per task grew from {middle:.2} to {last:.2} ms"))
}

/// Returns the first totals with at least this number of tasks.
pub(crate) fn at(totals: &[Total], tasks: u64) -> Option<Total> {
    totals.iter().find(|it| it.tasks >= tasks).copied()
}

/// Returns the milliseconds of CPU time per task between two totals.
pub(crate) fn cpu_per_task(from: Total, to: Total) -> f64 {
    (to.cpu_time - from.cpu_time) * 1e3 / (to.tasks - from.tasks) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(worker: Option<&str>) -> Subject {
        Subject {
            profile: optimized(),
            isolation: no_walls(),
            worker: worker.map(str::to_owned),
        }
    }

    fn total(tasks: u64) -> Total {
        Total {
            tasks,
            run: 1,
            ..Total::default()
        }
    }

    #[test]
    fn subjects_are_counted_separately() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("no-op.jsonl");
        let slow = Subject {
            profile: "not optimized".to_owned(),
            ..subject(Some("a"))
        };
        let subjects = [subject(Some("a")), subject(Some("b")), slow];
        for (tasks, subject) in (1..).zip(subjects.clone()) {
            let mut file = TotalsFile::open(&path, subject).expect("a file");
            assert_eq!(file.totals, []);
            file.add(total(tasks)).expect("a write");
        }
        for (tasks, subject) in (1..).zip(subjects) {
            let file = TotalsFile::open(&path, subject).expect("a file");
            assert_eq!(file.totals, [total(tasks)]);
        }
    }

    #[test]
    fn lines_without_a_subject_are_optimized() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("no-op.jsonl");
        let line = r#"{"tasks":7,"cpu_time":0.0,"time":0.0,"memory":0.0,"descriptors":0.0,"threads":0.0,"run":1}"#;
        fs::write(&path, format!("{line}\n")).expect("a file");
        let old = TotalsFile::open(&path, subject(None)).expect("valid lines");
        assert_eq!(old.totals, [total(7)]);
        let new = TotalsFile::open(&path, subject(Some("a"))).expect("valid lines");
        assert_eq!(new.totals, []);
    }

    #[test]
    fn growing_cost_fails() {
        let totals = |cost: fn(u64) -> f64| -> Vec<Total> {
            let mut total = Total::default();
            let rows = (1..=30).map(|row| {
                total.tasks += 100;
                total.cpu_time += 100.0 * cost(row);
                total
            });
            rows.collect()
        };
        assert_eq!(cpu_failure(&totals(|_| 0.002)), None);
        assert!(cpu_failure(&totals(|row| 0.001 * row as f64)).is_some());
    }
}
