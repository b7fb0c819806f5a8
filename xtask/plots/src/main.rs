//! Reads the JSON lines of benchmarks from standard input, and writes their growth plots into the folder of the argument.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead as _};
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use plots::{GrowthPlot, Series};
use serde::Deserialize;

/// A line of a plot, the part of a benchmark's JSON line that this program reads.
#[derive(Deserialize)]
struct Growth {
    plot: String,
    title: String,
    by: String,
    line: String,
    unit: String,
    /// Sizes and figures.
    points: Vec<(f64, f64)>,
}

#[derive(Deserialize)]
struct CaseResult {
    /// The exponent, for a case with a plot.
    ours: Option<f64>,
    growth: Option<Growth>,
}

fn main() -> Result<()> {
    let folder = std::env::args_os().nth(1);
    let folder = PathBuf::from(folder.context("the folder for the plots is missing")?);
    let mut plots: BTreeMap<String, GrowthPlot> = BTreeMap::new();
    for line in io::stdin().lock().lines() {
        let result: CaseResult = serde_json::from_str(&line?)?;
        let (Some(exponent), Some(growth)) = (result.ours, result.growth) else {
            continue;
        };
        let series = Series {
            name: growth.line,
            points: growth.points,
        };
        let plot = plots.entry(growth.plot).or_default();
        plot.lines.push((series, growth.unit, exponent));
        (plot.title, plot.by) = (growth.title, growth.by);
    }
    for (name, plot) in plots {
        let path = folder.join(format!("growth-{name}.svg"));
        let written = fs::write(&path, plot.to_svg());
        written.with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}
