//! `docs/metrics.md`, made of the catalog in `runtime-monitoring`, and whether that lists what the sources count.

use anyhow::{Context, Result, ensure};

use super::Generated;
use crate::tidy::files::File;

const CATALOG: &str = "crates/runtime-monitoring/src/metrics/catalog.rs";

/// The methods whose first argument names a metric.
const METHODS: &[&str] = &[
    ".count(",
    ".measure(",
    ".measure_duration(",
    ".time(",
    ".time_async(",
    ".set_gauge(",
    ".set_gauge_with(",
    ".counter(",
];

/// A line of the catalog.
#[derive(Debug, PartialEq, Eq)]
struct MetricDescriptor<'a> {
    kind: &'a str,
    unit: &'a str,
    name: &'a str,
    help: &'a str,
}

/// The page, after a check that the catalog and the sources name the same metrics.
pub(super) fn generate(files: &[File]) -> Result<Generated> {
    let catalog = files.iter().find(|file| file.path == CATALOG);
    let catalog = catalog.with_context(|| format!("there is no {CATALOG}"))?;
    let metrics = parse(&catalog.text);
    ensure!(!metrics.is_empty(), "{CATALOG} has no metrics");
    check(&metrics, files)?;
    let path = "docs/metrics.md".to_owned();
    let text = page(&metrics);
    Ok(Generated { path, text })
}

fn parse(text: &str) -> Vec<MetricDescriptor<'_>> {
    let lines = text.lines().skip_while(|line| *line != "catalog! {");
    lines.skip(1).map_while(parse_line).collect()
}

fn parse_line(line: &str) -> Option<MetricDescriptor<'_>> {
    let (words, rest) = line.trim().split_once(" \"")?;
    let (kind, unit) = words.split_once(' ')?;
    let (name, help) = rest.split_once("\" \"")?;
    let help = help.strip_suffix('"')?;
    Some(MetricDescriptor {
        kind,
        unit,
        name,
        help,
    })
}

fn check(metrics: &[MetricDescriptor<'_>], files: &[File]) -> Result<()> {
    let sources = files.iter().filter(|file| {
        let is_library = file.path.starts_with("crates/") && file.path.contains("/src/");
        is_library && file.has_extension("rs") && file.path != CATALOG
    });
    let sources: Vec<(&str, String)> = sources
        .map(|file| (&*file.path, code(&file.text)))
        .collect();
    let mut problems = Vec::new();
    for (path, code) in &sources {
        for name in named(code) {
            if !metrics.iter().any(|metric| metric.is_named(name)) {
                problems.push(format!("{path}: `{name}` is not in {CATALOG}"));
            }
        }
    }
    for metric in metrics {
        let is_there = |name: &str| {
            let quoted = format!("\"{name}\"");
            sources.iter().any(|(_, code)| code.contains(&quoted))
        };
        if !is_there(metric.name) && !is_there(metric.own_name()) {
            problems.push(format!("{CATALOG}: nothing counts `{}`", metric.name));
        }
    }
    ensure!(problems.is_empty(), "metrics:\n{}", problems.join("\n"));
    Ok(())
}

/// A source without its comments, and without the unit tests at its end.
fn code(text: &str) -> String {
    let lines = text
        .lines()
        .take_while(|line| !line.starts_with("#[cfg(test)]"));
    let lines = lines.filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// The metrics that are named where something is counted.
fn named(code: &str) -> Vec<&str> {
    let mut names = Vec::new();
    for method in METHODS {
        for (at, _) in code.match_indices(method) {
            let argument = code[at + method.len()..].trim_start();
            let name = argument
                .strip_prefix('"')
                .and_then(|rest| rest.split('"').next());
            names.extend(name);
        }
    }
    names
}

impl MetricDescriptor<'_> {
    /// The name without the prefixes, which code that counts does not repeat.
    fn own_name(&self) -> &str {
        self.name.rsplit('.').next().unwrap_or(self.name)
    }

    fn is_named(&self, name: &str) -> bool {
        name == self.name || name == self.own_name()
    }

    /// What Prometheus calls it.
    fn exported(&self) -> String {
        let plain = self.name.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        let unit = match self.unit {
            "Seconds" => "_seconds",
            "Bytes" => "_bytes",
            "Ratio" => "_ratio",
            _ => "",
        };
        let total = if self.kind == "Counter" { "_total" } else { "" };
        format!("worker_{plain}{unit}{total}")
    }
}

fn page(metrics: &[MetricDescriptor<'_>]) -> String {
    let mut page = "# Metrics\n\n\
        <!-- Generated from the catalog in `runtime-monitoring` by `cargo xtask docs --write`. -->\n\n\
        The metrics that a worker records. Engines and plugins add their own, see [monitoring](guide/monitoring.md).\n\n\
        Prometheus names start with `worker_` and end with the unit, and with `_total` for counters. \
        OTLP names are `worker.` and the name.\n\n\
        | name | Prometheus name | kind | description |\n| --- | --- | --- | --- |\n"
        .to_owned();
    for metric in metrics {
        let kind = metric.kind.to_lowercase();
        let unit = match metric.unit {
            "None" => String::new(),
            "Ratio" => ", ratio from 0 to 1".to_owned(),
            unit => format!(", {}", unit.to_lowercase()),
        };
        page += &format!(
            "| `{}` | `{}` | {kind}{unit} | {} |\n",
            metric.name,
            metric.exported(),
            metric.help
        );
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &str =
        "//! Head.\ncatalog! {\n    Counter None \"fetch.retries\" \"How \\\"often\\\".\"\n}\n";

    fn files(source: &str) -> Vec<File> {
        let file = |path: &str, text: &str| File {
            path: path.into(),
            text: text.into(),
        };
        vec![
            file(CATALOG, LINES),
            file("crates/a/src/b.rs", source),
            file("crates/a/tests/b.rs", "m.count(\"only-a-test\", 1);"),
        ]
    }

    #[test]
    fn the_page_has_a_line_a_metric() {
        let page = generate(&files("m.count(\n    \"retries\", 1);")).expect("all is listed");
        assert!(
            page.text
                .contains("| `fetch.retries` | `worker_fetch_retries_total` | counter |"),
            "{}",
            page.text
        );
    }

    #[test]
    fn what_is_counted_and_not_listed_is_found() {
        let error = generate(&files("m.count(\"retries\", 1); m.measure(\"size\", 2.0);"));
        let error = error.map(drop).expect_err("one is not listed").to_string();
        assert!(error.contains("crates/a/src/b.rs: `size`"), "{error}");
        assert!(!error.contains("retries`"), "{error}");
    }

    #[test]
    fn what_is_listed_and_not_counted_is_found() {
        let error = generate(&files("// m.count(\"retries\", 1);\n"));
        let error = error.map(drop).expect_err("nothing counts it").to_string();
        assert!(error.contains("nothing counts `fetch.retries`"), "{error}");
    }
}
