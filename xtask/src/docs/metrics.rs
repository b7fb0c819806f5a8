//! `docs/metrics.md`, generated from the catalog in `runtime-monitoring`, which must list the metrics of the sources.

use anyhow::{Result, ensure};

use crate::docs::Generated;
use crate::files::{self, File};

const CATALOG: &str = "crates/runtime-monitoring/src/metrics/catalog.rs";

/// The methods whose first argument names a metric.
const RECORDING_METHODS: &[&str] = &[
    ".count(",
    ".count_f64(",
    ".measure(",
    ".measure_all(",
    ".measure_duration(",
    ".time(",
    ".time_async(",
    ".set_gauge(",
    ".set_gauge_with(",
    ".counter(",
];

/// A line of the catalog.
#[derive(Debug, PartialEq, Eq)]
struct CatalogEntry<'a> {
    kind: &'a str,
    unit: &'a str,
    name: &'a str,
    help: &'a str,
}

/// Returns the page, after a check that the catalog and the sources name the same metrics.
pub(super) fn generate(files: &[File]) -> Result<Generated> {
    let entries = parse(files::text(files, CATALOG)?);
    ensure!(!entries.is_empty(), "{CATALOG} has no metrics");
    check(&entries, files)?;
    Ok(Generated {
        path: "docs/metrics.md".to_owned(),
        text: page(&entries),
    })
}

fn parse(text: &str) -> Vec<CatalogEntry<'_>> {
    let lines = text.lines().skip_while(|line| *line != "catalog! {");
    lines.skip(1).map_while(parse_line).collect()
}

/// Parses `KIND UNIT "NAME" "HELP"`.
fn parse_line(line: &str) -> Option<CatalogEntry<'_>> {
    let (words, rest) = line.trim().split_once(" \"")?;
    let (kind, unit) = words.split_once(' ')?;
    let (name, help) = rest.split_once("\" \"")?;
    Some(CatalogEntry {
        kind,
        unit,
        name,
        help: help.strip_suffix('"')?,
    })
}

fn check(entries: &[CatalogEntry<'_>], files: &[File]) -> Result<()> {
    let sources = files.iter();
    let sources = sources.filter(|file| file.is_library_source() && file.path != CATALOG);
    let sources: Vec<(&str, String)> = sources.map(|file| (&*file.path, code(file))).collect();
    let mut problems = Vec::new();
    for (path, code) in &sources {
        for name in recorded_names(code) {
            if !entries.iter().any(|entry| entry.is_named(name)) {
                problems.push(format!("{path}: `{name}` is not in {CATALOG}"));
            }
        }
    }
    for entry in entries {
        // Only the quoted name is searched for, since a name may reach the method through a constant or a helper.
        let occurs = |name: &str| {
            let quoted = format!("\"{name}\"");
            sources.iter().any(|(_, code)| code.contains(&quoted))
        };
        if !occurs(entry.name) && !occurs(entry.base_name()) {
            problems.push(format!("{CATALOG}: `{}` is never recorded", entry.name));
        }
    }
    ensure!(problems.is_empty(), "metrics:\n{}", problems.join("\n"));
    Ok(())
}

/// Returns the code in one string, because a name may be on the line after its method.
fn code(file: &File) -> String {
    let lines: Vec<&str> = file.code_lines().map(|(_, line)| line).collect();
    lines.join("\n")
}

/// Returns the names of the metrics that the code records.
fn recorded_names(code: &str) -> Vec<&str> {
    let mut names = Vec::new();
    for method in RECORDING_METHODS {
        for (at, _) in code.match_indices(method) {
            let argument = code[at + method.len()..].trim_start();
            let literal = argument.strip_prefix('"');
            names.extend(literal.and_then(|rest| rest.split('"').next()));
        }
    }
    names
}

impl CatalogEntry<'_> {
    /// Returns the name without the prefixes, which the recording code does not repeat.
    fn base_name(&self) -> &str {
        self.name.rsplit('.').next().unwrap_or(self.name)
    }

    fn is_named(&self, name: &str) -> bool {
        name == self.name || name == self.base_name()
    }

    fn prometheus_name(&self) -> String {
        let name = self.name.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        let unit = match self.unit {
            "Seconds" => "_seconds",
            "Bytes" => "_bytes",
            "Ratio" => "_ratio",
            _ => "",
        };
        let total = if self.kind == "Counter" { "_total" } else { "" };
        format!("worker_{name}{unit}{total}")
    }
}

fn page(entries: &[CatalogEntry<'_>]) -> String {
    let mut page = "# Metrics\n\n\
        <!-- Generated from the catalog in `runtime-monitoring` by `cargo xtask docs --write`. -->\n\n\
        The metrics that a worker records. Engines and plugins add their own, see [monitoring](guide/monitoring.md).\n\n\
        Prometheus names start with `worker_` and end with the unit, and with `_total` for counters. \
        OTLP names are `worker.` and the name.\n\n\
        | name | Prometheus name | kind | description |\n| --- | --- | --- | --- |\n"
        .to_owned();
    for entry in entries {
        let kind = entry.kind.to_lowercase();
        let unit = match entry.unit {
            "None" => String::new(),
            "Ratio" => ", ratio from 0 to 1".to_owned(),
            unit => format!(", {}", unit.to_lowercase()),
        };
        let CatalogEntry { name, help, .. } = entry;
        let prometheus_name = entry.prometheus_name();
        page += &format!("| `{name}` | `{prometheus_name}` | {kind}{unit} | {help} |\n");
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: &str =
        "//! Head.\ncatalog! {\n    Counter None \"fetch.retries\" \"How \\\"often\\\".\"\n}\n";

    fn generate_from(source: &str) -> Result<String> {
        let generated = generate(&[
            File::new(CATALOG, ENTRY),
            File::new("crates/a/src/b.rs", source),
            File::new("crates/a/tests/b.rs", "m.count(\"only-a-test\", 1);"),
        ])?;
        Ok(generated.text)
    }

    #[test]
    fn page_has_a_row_per_metric() {
        let page = generate_from("m.count(\n    \"retries\", 1);").expect("all are listed");
        let row = "| `fetch.retries` | `worker_fetch_retries_total` | counter |";
        assert!(page.contains(row), "{page}");
    }

    #[test]
    fn unlisted_metric_is_found() {
        let error = generate_from("m.count(\"retries\", 1); m.measure(\"size\", 2.0);");
        let error = error.expect_err("one is not listed").to_string();
        assert!(error.contains("crates/a/src/b.rs: `size`"), "{error}");
        assert!(!error.contains("retries`"), "{error}");
    }

    #[test]
    fn unrecorded_metric_is_found() {
        let error = generate_from("// m.count(\"retries\", 1);\n");
        let error = error.expect_err("it is not recorded").to_string();
        assert!(error.contains("`fetch.retries` is never"), "{error}");
    }
}
