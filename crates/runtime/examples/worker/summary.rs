//! How the tasks ended: a table for people, JSON for programs.

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{ContentArrangement, Table};
use runtime::worker::TaskReport;
use serde_json::{Value, json};

use crate::definition::Definition;

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
        let expected = self.definition.expect.as_deref()?;
        let differs = expected != self.state;
        differs.then(|| {
            format!(
                "`{}` should end as {expected} and ended as {}",
                self.definition.name, self.state
            )
        })
    }

    fn cells(&self) -> [String; 6] {
        let report = self.report.as_ref();
        let seconds = report.map(|report| format!("{:.2} s", report.duration.as_secs_f64()));
        let exit = report
            .and_then(|report| report.exit)
            .map(|exit| exit.to_string());
        let caches = report.map(|report| {
            format!(
                "{} of {}",
                report.cache_hits,
                report.cache_hits + report.cache_misses
            )
        });
        let artifacts = match self.artifacts.len() {
            0 => "-".to_owned(),
            _ => self
                .artifacts
                .iter()
                .map(|(_, url)| url.as_str())
                .collect::<Vec<_>>()
                .join("\n"),
        };
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        [
            self.definition.name.clone(),
            self.state.clone(),
            or_dash(seconds),
            or_dash(exit),
            or_dash(caches),
            artifacts,
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
pub(crate) fn print(rows: &[Row], measured: &str, json: bool) {
    if json {
        rows.iter().for_each(|row| println!("{}", row.json()));
        println!("{}", json!({"measured": measured}));
    } else {
        println!("\n{}\n\nmeasured: {measured}", table(rows));
    }
}

fn table(rows: &[Row]) -> Table {
    let mut table = Table::new();
    table
        .load_preset(UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Disabled);
    table.set_header([
        "task",
        "state",
        "time",
        "ended with",
        "cache hits",
        "artifacts",
    ]);
    table.add_rows(rows.iter().map(Row::cells));
    table
}
