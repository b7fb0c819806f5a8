//! The tables of `docs/benchmarks.md`, one for each benchmark.

use std::fmt::Write as _;
use std::thread::available_parallelism;

use anyhow::{Context, Result};
use bench_harness::figure;
use serde::Deserialize;
use xshell::{Shell, cmd};

use crate::generated_part::{GeneratedPart, today};

const PAGE: &str = "docs/benchmarks.md";

/// The result of a case, see `--json`.
#[derive(Deserialize)]
struct Row {
    case: String,
    unit: String,
    ours: Option<f64>,
    peer: Option<f64>,
    peer_name: Option<String>,
    ratio: Option<f64>,
    bar: Option<String>,
    met: Option<bool>,
    skipped: Option<String>,
    growth: Option<Growth>,
}

/// The figures for several sizes.
#[derive(Deserialize)]
struct Growth {
    by: String,
    line: String,
    unit: String,
    points: Vec<(f64, f64)>,
}

/// Returns the load of the machine in the last minute.
pub(crate) fn load() -> Result<f64> {
    let text = std::fs::read_to_string("/proc/loadavg");
    let text = text.context("the load of the machine is known on Linux only")?;
    let load = text.split(' ').next().unwrap_or_default();
    load.parse().with_context(|| format!("load `{load}`"))
}

/// Writes the table of a benchmark, from its JSON lines.
pub(crate) fn write(sh: &Shell, name: &str, quick: bool, load: f64, results: &str) -> Result<()> {
    let cores = available_parallelism()?;
    let processor = processor()?;
    let kernel = cmd!(sh, "uname -r").quiet().read()?;
    let quick = if quick { " --quick" } else { "" };
    let date = today(sh)?;
    let mut text = format!(
        "`cargo xtask bench {name}{quick}`; {cores} cores of {processor}, Linux {kernel}; load {load:.1}; {date}.\n\n",
    );
    text += &table(results)?;
    let part = GeneratedPart {
        page: PAGE,
        name: &format!("bench-{name}"),
    };
    part.write(sh, &text)
}

/// Returns the name of the processor.
fn processor() -> Result<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo")?;
    let name = text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == "model name").then(|| value.trim().to_owned())
    });
    Ok(name.unwrap_or_else(|| std::env::consts::ARCH.to_owned()))
}

/// Returns the table for the JSON lines of a benchmark.
fn table(results: &str) -> Result<String> {
    let mut text =
        String::from("| case | ours | peer | ratio | bar |\n| --- | --- | --- | --- | --- |\n");
    for line in results.lines() {
        let row: Row =
            serde_json::from_str(line).with_context(|| format!("not a result: {line}"))?;
        let [case, ours, peer, ratio] = cells(&row).map(|cell| escaped(&cell));
        let bar = bar(&row);
        writeln!(text, "| {case} | {ours} | {peer} | {ratio} | {bar} |")?;
    }
    Ok(text)
}

/// Returns a text that Markdown shows as it is in a table.
fn escaped(text: &str) -> String {
    text.replace('|', r"\|").replace('<', r"\<")
}

/// Returns the cells before the bar.
fn cells(row: &Row) -> [String; 4] {
    if let Some(reason) = &row.skipped {
        let skipped = format!("skipped: {reason}");
        return [row.case.clone(), skipped, String::new(), String::new()];
    }
    if let Some(growth) = &row.growth {
        let case = format!("{}, by {}", growth.line, growth.by);
        let exponent = row.ours.map(|exponent| format!("exponent {exponent:.2}"));
        let at = |point: Option<&(f64, f64)>| {
            let text = |&(size, value): &(f64, f64)| {
                format!("{} {} at {}", figure(value), growth.unit, grouped(size))
            };
            point.map(text).unwrap_or_default()
        };
        let (first, last) = (at(growth.points.first()), at(growth.points.last()));
        return [case, last, first, exponent.unwrap_or_default()];
    }
    let unit = &row.unit;
    let with_unit = |value: f64| format!("{} {unit}", figure(value)).trim_end().to_owned();
    let peer = row.peer.map(with_unit);
    let peer = [peer, row.peer_name.clone()].into_iter().flatten();
    let ratio = row.ratio.map(|ratio| format!("{ratio:.2}"));
    [
        row.case.clone(),
        row.ours.map(with_unit).unwrap_or_default(),
        peer.collect::<Vec<_>>().join(", "),
        ratio.unwrap_or_default(),
    ]
}

fn bar(row: &Row) -> String {
    let Some(bar) = &row.bar else {
        return "–".to_owned();
    };
    let bar = bar.replace(">=", "≥").replace("<=", "≤");
    let missed = if row.met == Some(false) {
        " (missed)"
    } else {
        ""
    };
    bar + missed
}

/// Formats a whole number with spaces between groups of three digits.
fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(json: &str) -> String {
        let text = table(json).expect("a result");
        text.lines().last().expect("a row").to_owned()
    }

    #[test]
    fn characters_of_markdown_are_escaped() {
        let json = r#"{"bench": "b", "case": "a | b", "unit": "ns", "ours": 1.0, "peer": 2.0, "peer_name": "Vec<u8>", "ratio": 0.5}"#;
        let expected = r"| a \| b | 1.00 ns | 2.00 ns, Vec\<u8> | 0.50 | – |";
        assert_eq!(row(json), expected);
    }

    #[test]
    fn missed_bar_is_marked() {
        let json = r#"{"bench": "b", "case": "hit", "unit": "ns", "ours": 52.0, "peer": 25.0, "peer_name": "`get`", "ratio": 2.08, "bar": "<= 2", "met": false}"#;
        let expected = "| hit | 52.00 ns | 25.00 ns, `get` | 2.08 | ≤ 2 (missed) |";
        assert_eq!(row(json), expected);
    }

    #[test]
    fn case_may_have_neither_peer_nor_bar() {
        let json = r#"{"case": "a", "unit": "", "ours": 0.0}"#;
        assert_eq!(row(json), "| a | 0.00 |  |  | – |");
    }

    #[test]
    fn skipped_case_has_its_reason() {
        let json = r#"{"case": "a", "unit": "", "skipped": "nginx is not installed"}"#;
        assert_eq!(
            row(json),
            "| a | skipped: nginx is not installed |  |  | – |"
        );
    }

    #[test]
    fn growth_has_both_ends_and_the_exponent() {
        let json = r#"{"case": "open, exponent by folders", "unit": "exponent", "ours": 0.04, "bar": "<= 0.2", "met": true,
            "growth": {"plot": "p", "title": "t", "by": "folders", "line": "open", "unit": "µs", "points": [[1000, 20.0], [100000, 24.0]]}}"#;
        let expected = "| open, by folders | 24.00 µs at 100 000 | 20.00 µs at 1 000 | exponent 0.04 | ≤ 0.2 |";
        assert_eq!(row(&json.replace('\n', "")), expected);
    }
}
