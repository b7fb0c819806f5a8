//! The results: a table, or one JSON object per line.

use std::fmt;
use std::process::ExitCode;

use serde_json::{Value, json};

/// The limit for a figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bar {
    /// The minimum.
    AtLeast(f64),
    /// The maximum.
    AtMost(f64),
}

impl Bar {
    /// Returns whether a figure meets the bar. NaN does not.
    pub(crate) fn is_met_by(self, figure: f64) -> bool {
        match self {
            Self::AtLeast(bar) => figure >= bar,
            Self::AtMost(bar) => figure <= bar,
        }
    }
}

impl fmt::Display for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(bar) => write!(f, ">= {bar}"),
            Self::AtMost(bar) => write!(f, "<= {bar}"),
        }
    }
}

/// The result of one case.
#[derive(Debug, Default)]
pub(crate) struct CaseResult {
    pub(crate) case: String,
    pub(crate) unit: String,
    pub(crate) ours: Option<f64>,
    pub(crate) peer: Option<f64>,
    pub(crate) peer_name: Option<String>,
    pub(crate) ratio: Option<f64>,
    pub(crate) bar: Option<Bar>,
    pub(crate) met: Option<bool>,
    pub(crate) skipped: Option<String>,
    /// The points of a plot, for a case whose figure is an exponent.
    pub(crate) growth: Option<Value>,
}

impl CaseResult {
    pub(crate) fn skipped(case: &str, reason: &str) -> Self {
        Self {
            case: case.to_owned(),
            skipped: Some(reason.to_owned()),
            ..Self::default()
        }
    }

    fn to_json(&self, bench: &str) -> Value {
        let mut object = json!({
            "bench": bench,
            "case": self.case,
            "unit": self.unit,
            "ours": self.ours,
            "peer": self.peer,
            "peer_name": self.peer_name,
            "ratio": self.ratio,
            "bar": self.bar.map(|bar| bar.to_string()),
            "met": self.met,
        });
        if let Some(reason) = &self.skipped {
            object["skipped"] = json!(reason);
        }
        if let Some(growth) = &self.growth {
            object["growth"] = growth.clone();
        }
        object
    }

    /// Returns a row of the table.
    fn to_row(&self) -> String {
        if let Some(reason) = &self.skipped {
            return format!("{:<60} skipped: {reason}", self.case);
        }
        let ours = self
            .ours
            .map(|ours| format!("{} {}", figure(ours), self.unit));
        let ours = ours.unwrap_or_default();
        let peer = self.peer.map(figure).unwrap_or_default();
        let ratio = self.ratio.map(|ratio| format!("{ratio:.2}"));
        let ratio = ratio.unwrap_or_default();
        let bar = self.bar.map(|bar| bar.to_string()).unwrap_or_default();
        let met = self.met.map_or("", |met| if met { "ok" } else { "MISSED" });
        let peer_name = self.peer_name.as_ref();
        let versus = peer_name.map(|name| format!("  (peer: {name})"));
        let versus = versus.unwrap_or_default();
        format!(
            "{:<60} {ours:>20} {peer:>10} {ratio:>7} {bar:>9}  {met}{versus}",
            self.case
        )
    }
}

/// Prints results and counts missed bars.
#[derive(Debug)]
pub(crate) struct Report {
    bench: String,
    json: bool,
    cases: usize,
    missed: usize,
}

impl Report {
    pub(crate) fn new(bench: &str, json: bool) -> Self {
        Self {
            bench: bench.to_owned(),
            json,
            cases: 0,
            missed: 0,
        }
    }

    pub(crate) fn add(&mut self, result: CaseResult) {
        if self.json {
            println!("{}", result.to_json(&self.bench));
        } else {
            if self.cases == 0 {
                println!(
                    "{:<60} {:>20} {:>10} {:>7} {:>9}",
                    self.bench, "ours", "peer", "ratio", "bar"
                );
            }
            println!("{}", result.to_row());
        }
        self.cases += 1;
        self.missed += usize::from(result.met == Some(false));
    }

    pub(crate) fn finish(self) -> ExitCode {
        if self.missed == 0 {
            return ExitCode::SUCCESS;
        }
        eprintln!(
            "{}: {} of {} cases missed their bar",
            self.bench, self.missed, self.cases
        );
        ExitCode::FAILURE
    }
}

/// Formats a figure with at least three significant digits, and with a decimal prefix if it is large.
pub fn figure(value: f64) -> String {
    const PREFIXES: [(f64, &str); 3] = [(1e9, " G"), (1e6, " M"), (1e4, " k")];
    for (least, prefix) in PREFIXES {
        if value >= least {
            // Figures below 10 k are printed in full.
            let scale = if least == 1e4 { 1e3 } else { least };
            return format!("{:.1}{prefix}", value / scale);
        }
    }
    if value >= 100.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.2}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nan_meets_no_bar() {
        assert!(!Bar::AtLeast(1.0).is_met_by(f64::NAN));
        assert!(!Bar::AtMost(1.0).is_met_by(f64::NAN));
    }

    #[test]
    fn json_has_all_keys_without_a_peer() {
        let result = CaseResult {
            case: "hit".into(),
            unit: "ns".into(),
            ours: Some(3.0),
            ..CaseResult::default()
        };
        let object = result.to_json("cache");
        for key in [
            "bench",
            "case",
            "unit",
            "ours",
            "peer",
            "peer_name",
            "ratio",
            "bar",
            "met",
        ] {
            assert!(object.get(key).is_some(), "no `{key}` in {object}");
        }
    }

    #[test]
    fn figures_keep_significant_digits() {
        assert_eq!(figure(0.25), "0.25");
        assert_eq!(figure(1234.0), "1234");
        assert_eq!(figure(12_340.0), "12.3 k");
        assert_eq!(figure(12_340_000.0), "12.3 M");
    }
}
