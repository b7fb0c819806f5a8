//! The results of tasks on an embedded Taskcluster, as a table or as JSON.

use std::fmt;

use runtime_worker::report::TaskReport;
use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr as _;

use crate::definition_file::DefinitionFile;

const HEADER: [&str; 7] = [
    "TASK",
    "ID",
    "STATE",
    "TIME",
    "EXIT",
    "CACHE HITS",
    "ARTIFACTS",
];

/// The result of one task.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TaskResult {
    /// The task.
    pub task: DefinitionFile,
    /// The state in the queue, such as `completed` or `exception/canceled`.
    pub state: String,
    /// The worker's report on the last run, if there was one.
    pub report: Option<TaskReport>,
    /// The names and URLs of the artifacts of the last run.
    pub artifacts: Vec<(String, String)>,
}

impl TaskResult {
    /// Returns a message if the state is not the expected one, which defaults to `completed`.
    #[must_use]
    pub fn mismatch(&self) -> Option<String> {
        let DefinitionFile { name, task_id, .. } = &self.task;
        let state = &self.state;
        let expected = self.task.expected.as_deref().unwrap_or("completed");
        (expected != state)
            .then(|| format!("`{name}` ({task_id}): expected {expected}, got {state}"))
    }

    /// Returns the exit code of a task that failed, unless another state was expected.
    #[must_use]
    pub fn exit_code(&self) -> Option<u8> {
        let exit = self.report.as_ref()?.exit?;
        let code = u8::try_from(exit.code()?).ok()?;
        (code != 0 && self.task.expected.is_none()).then_some(code)
    }

    fn cells(&self) -> [String; 7] {
        let report = self.report.as_ref();
        let seconds = report.map(|report| format!("{:.2} s", report.duration.as_secs_f64()));
        let exit = report.and_then(|report| report.exit);
        let lookups =
            report.map(|report| (report.cache_hits, report.cache_hits + report.cache_misses));
        let hits = lookups
            .filter(|(_, total)| *total > 0)
            .map(|(hits, total)| format!("{hits} of {total}"));
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        [
            self.task.name.clone(),
            self.task.task_id.to_string(),
            self.state.clone(),
            or_dash(seconds),
            or_dash(exit.map(|exit| exit.to_string())),
            or_dash(hits),
            self.artifacts.len().to_string(),
        ]
    }

    /// Returns the result as a JSON object.
    #[must_use]
    pub fn json(&self) -> Value {
        let report = self.report.as_ref();
        let artifacts = self.artifacts.iter();
        let artifacts = artifacts.map(|(name, url)| json!({"name": name, "url": url}));
        json!({
            "task": self.task.name,
            "taskId": self.task.task_id,
            "state": self.state,
            "expected": self.task.expected,
            "seconds": report.map(|report| report.duration.as_secs_f64()),
            "exitCode": report.and_then(|report| report.exit).and_then(|exit| exit.code()),
            "cacheHits": report.map(|report| report.cache_hits),
            "cacheMisses": report.map(|report| report.cache_misses),
            "artifacts": artifacts.collect::<Vec<_>>(),
        })
    }
}

/// Returns a table of results with the totals of the worker, after lists of the artifacts by their names or URLs.
pub fn results_table(
    results: &[TaskResult],
    totals: impl fmt::Display,
    with_urls: bool,
) -> impl fmt::Display {
    fmt::from_fn(move |f| {
        // Not a column of the table, since a URL is wider than any column should be.
        for result in results.iter().filter(|it| !it.artifacts.is_empty()) {
            let DefinitionFile { name, task_id, .. } = &result.task;
            writeln!(f, "\nartifacts of {name} {task_id}:")?;
            for (name, url) in &result.artifacts {
                writeln!(f, "  {}", if with_urls { url } else { name })?;
            }
        }
        if !with_urls {
            writeln!(
                f,
                "\nwith --keep, the artifacts stay available and have URLs"
            )?;
        }
        let mut rows = vec![HEADER.map(str::to_owned)];
        rows.extend(results.iter().map(TaskResult::cells));
        write!(f, "\n{}\n\n{totals}", align(&rows))
    })
}

/// Aligns the cells of each column on the left. Lines have no spaces at their end.
fn align<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| rows.iter().map(move |row| row[column].width()).max();
    let widths: [usize; N] = std::array::from_fn(|column| width(column).unwrap_or(0));
    let lines = rows.iter().map(|row| {
        let cells = row.iter().zip(widths);
        let line: String = cells
            .map(|(cell, width)| format!(" {cell}{} ", " ".repeat(width - cell.width())))
            .collect();
        line.trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_by_displayed_width() {
        let rows = [["TASK", "ID"], ["構築", "1"], ["a", ""]];
        let rows = rows.map(|row| row.map(str::to_owned));
        assert_eq!(align(&rows), " TASK  ID\n 構築  1\n a");
    }
}
