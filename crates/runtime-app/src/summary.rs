//! The results of the tasks, as a table or as JSON.

use std::{fmt, io};

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};
use runtime_worker::report::TaskReport;
use serde_json::{Value, json};

use crate::args::TaskArgs;
use crate::definition::Definition;
use crate::output;

/// The result of one task.
pub(crate) struct TaskResult {
    pub(crate) definition: Definition,
    /// The state in the queue, such as `completed` or `exception/canceled`.
    pub(crate) state: String,
    /// The worker's report on the last run, if there was one.
    pub(crate) report: Option<TaskReport>,
    /// The names and URLs of the artifacts of the last run.
    pub(crate) artifacts: Vec<(String, String)>,
}

impl TaskResult {
    /// Returns a message if the state is not the expected one, which defaults to `completed`.
    pub(crate) fn mismatch(&self) -> Option<String> {
        let Definition { name, task_id, .. } = &self.definition;
        let state = &self.state;
        let expected = self.definition.expected.as_deref().unwrap_or("completed");
        (expected != state)
            .then(|| format!("`{name}` ({task_id}): expected {expected}, got {state}"))
    }

    /// Returns the exit code of a task that failed, unless another state was expected.
    pub(crate) fn exit_code(&self) -> Option<u8> {
        let exit = self.report.as_ref()?.exit?;
        let code = u8::try_from(exit.code()?).ok()?;
        (code != 0 && self.definition.expected.is_none()).then_some(code)
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
            self.definition.name.clone(),
            self.definition.task_id.to_string(),
            self.state.clone(),
            or_dash(seconds),
            or_dash(exit.map(|exit| exit.to_string())),
            or_dash(hits),
            self.artifacts.len().to_string(),
        ]
    }

    fn json(&self) -> Value {
        let report = self.report.as_ref();
        let artifacts = self.artifacts.iter();
        let artifacts = artifacts.map(|(name, url)| json!({"name": name, "url": url}));
        json!({
            "task": self.definition.name,
            "taskId": self.definition.task_id,
            "state": self.state,
            "expected": self.definition.expected,
            "seconds": report.map(|report| report.duration.as_secs_f64()),
            "exitCode": report.and_then(|report| report.exit).and_then(|exit| exit.code()),
            "cacheHits": report.map(|report| report.cache_hits),
            "cacheMisses": report.map(|report| report.cache_misses),
            "artifacts": artifacts.collect::<Vec<_>>(),
        })
    }
}

/// Prints the results and the worker's totals.
pub(crate) fn print(
    results: &[TaskResult],
    totals: impl fmt::Display,
    args: &TaskArgs,
) -> io::Result<()> {
    if args.json {
        for result in results {
            output::result(result.json())?;
        }
        return output::result(json!({ "totals": totals.to_string() }));
    }
    // Not a column of the table, since a URL is wider than any column should be.
    for result in results.iter().filter(|it| !it.artifacts.is_empty()) {
        let Definition { name, task_id, .. } = &result.definition;
        output::result(format_args!("\nartifacts of {name} {task_id}:"))?;
        for (name, url) in &result.artifacts {
            // Without `--keep`, the server of the URL exits in a moment.
            output::result(format_args!("  {}", if args.keep { url } else { name }))?;
        }
    }
    if !args.keep {
        output::result("\nwith --keep, the artifacts stay available and have URLs")?;
    }
    let table = table(results);
    output::result(format_args!("\n{}\n\n{totals}", table.trim_fmt()))
}

fn table(results: &[TaskResult]) -> Table {
    let mut table = Table::new();
    table
        .load_preset(NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled);
    table.set_header([
        "TASK",
        "ID",
        "STATE",
        "TIME",
        "EXIT",
        "CACHE HITS",
        "ARTIFACTS",
    ]);
    table.add_rows(results.iter().map(TaskResult::cells));
    table
}
