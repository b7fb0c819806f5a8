//! How the tasks ended: a table for people, JSON for programs.

use std::io;

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};
use runtime::worker::report::TaskReport;
use serde_json::{Value, json};

use crate::args::Args;
use crate::definition::Definition;
use crate::out;

/// One task at the end of a run.
pub(crate) struct Row {
    pub(crate) definition: Definition,
    /// What the queue says, such as `completed` or `exception/canceled`.
    pub(crate) state: String,
    /// What the worker says of the last run, if it ran.
    pub(crate) report: Option<TaskReport>,
    /// The artifacts of the last run, with their URLs.
    pub(crate) artifacts: Vec<(String, String)>,
}

impl Row {
    /// What differs from what the file of the task says, if anything does.
    pub(crate) fn surprise(&self) -> Option<String> {
        let (name, state) = (&self.definition.name, &self.state);
        match self.definition.expect.as_deref() {
            Some(expected) if expected == state => None,
            Some(expected) => Some(format!(
                "`{name}` should end as {expected} and ended as {state}"
            )),
            // Without a word in its file, a task should end well.
            None if state == "completed" => None,
            None => Some(format!("`{name}` ended as {state}")),
        }
    }

    fn cells(&self) -> [String; 6] {
        let report = self.report.as_ref();
        let seconds = report.map(|report| format!("{:.2} s", report.duration.as_secs_f64()));
        let exit = report
            .and_then(|report| report.exit)
            .map(|exit| exit.to_string());
        let asked =
            report.map(|report| (report.cache_hits, report.cache_hits + report.cache_misses));
        let warm = asked
            .filter(|(_, all)| *all > 0)
            .map(|(hits, all)| format!("{hits} of {all} warm"));
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        [
            self.definition.name.clone(),
            self.state.clone(),
            or_dash(seconds),
            or_dash(exit),
            or_dash(warm),
            self.artifacts.len().to_string(),
        ]
    }

    fn json(&self) -> Value {
        let report = self.report.as_ref();
        let artifacts = self
            .artifacts
            .iter()
            .map(|(name, url)| json!({"name": name, "url": url}));
        json!({
            "task": self.definition.name,
            "taskId": self.definition.task_id,
            "state": self.state,
            "expected": self.definition.expect,
            "seconds": report.map(|report| report.duration.as_secs_f64()),
            "exitCode": report.and_then(|report| report.exit).and_then(|exit| exit.code()),
            "cacheHits": report.map(|report| report.cache_hits),
            "cacheMisses": report.map(|report| report.cache_misses),
            "artifacts": artifacts.collect::<Vec<_>>(),
        })
    }
}

/// Prints the rows, and then what the worker measured.
pub(crate) fn print(rows: &[Row], measured: &str, args: &Args) -> io::Result<()> {
    if args.json {
        rows.iter().try_for_each(|row| out::result(row.json()))?;
        return out::result(json!({"measured": measured}));
    }
    // Below the table, since a URL is wider than any column should be.
    for row in rows.iter().filter(|row| !row.artifacts.is_empty()) {
        out::result(format_args!("\nartifacts of {}:", row.definition.name))?;
        row.artifacts
            .iter()
            .try_for_each(|(_, url)| out::result(format_args!("  {url}")))?;
    }
    if !args.keep {
        out::result("\nthese URLs ended with the run; --keep leaves them up")?;
    }
    out::result(format_args!(
        "\n{}\n\nmeasured: {measured}",
        table(rows).trim_fmt()
    ))
}

fn table(rows: &[Row]) -> Table {
    let mut table = Table::new();
    table
        .load_preset(NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["TASK", "STATE", "TIME", "ENDED WITH", "CACHES", "ARTIFACTS"]);
    table.add_rows(rows.iter().map(Row::cells));
    table
}
