//! What came out: a table for people or one JSON object a line.

use std::fmt;
use std::process::ExitCode;

use serde_json::{Value, json};

/// What a figure must reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bar {
    /// The figure must not be below this.
    AtLeast(f64),
    /// The figure must not be above this.
    AtMost(f64),
}

impl Bar {
    /// Says whether the figure meets the bar; a figure that is no number never does.
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
pub(crate) struct Outcome {
    pub(crate) case: String,
    pub(crate) unit: String,
    pub(crate) ours: Option<f64>,
    pub(crate) peer: Option<f64>,
    pub(crate) peer_name: Option<String>,
    pub(crate) ratio: Option<f64>,
    pub(crate) bar: Option<Bar>,
    pub(crate) met: Option<bool>,
    pub(crate) skipped: Option<String>,
}

impl Outcome {
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
        object
    }

    /// One line of the table, in the columns of [`HEADINGS`].
    fn to_row(&self) -> String {
        if let Some(reason) = &self.skipped {
            return format!("{:<60} skipped: {reason}", self.case);
        }
        let ours = self.ours.map_or_else(String::new, |ours| {
            format!("{} {}", figure(ours), self.unit)
        });
        let peer = self.peer.map_or_else(String::new, figure);
        let ratio = self
            .ratio
            .map_or_else(String::new, |ratio| format!("{ratio:.2}"));
        let bar = self.bar.map_or_else(String::new, |bar| bar.to_string());
        let met = self.met.map_or("", |met| if met { "ok" } else { "MISSED" });
        let versus = self
            .peer_name
            .as_ref()
            .map_or_else(String::new, |name| format!("  (against {name})"));
        format!(
            "{:<60} {ours:>20} {peer:>10} {ratio:>7} {bar:>9}  {met}{versus}",
            self.case
        )
    }
}

/// Prints outcomes as they come and keeps count of the missed bars.
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

    pub(crate) fn add(&mut self, outcome: Outcome) {
        if self.json {
            println!("{}", outcome.to_json(&self.bench));
        } else {
            if self.cases == 0 {
                println!(
                    "{:<60} {:>20} {:>10} {:>7} {:>9}",
                    self.bench, "ours", "peer", "ratio", "bar"
                );
            }
            println!("{}", outcome.to_row());
        }
        self.cases += 1;
        self.missed += usize::from(outcome.met == Some(false));
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

/// Writes a figure with three or more digits that count, and a decimal prefix when it is large.
fn figure(value: f64) -> String {
    const PREFIXES: [(f64, &str); 3] = [(1e9, " G"), (1e6, " M"), (1e4, " k")];
    for (least, prefix) in PREFIXES {
        if value >= least {
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
    fn a_figure_that_is_no_number_meets_no_bar() {
        assert!(!Bar::AtLeast(1.0).is_met_by(f64::NAN));
        assert!(!Bar::AtMost(1.0).is_met_by(f64::NAN));
    }

    #[test]
    fn json_has_every_key_even_without_a_peer() {
        let outcome = Outcome {
            case: "hit".into(),
            unit: "ns".into(),
            ours: Some(3.0),
            ..Outcome::default()
        };
        let object = outcome.to_json("cache");
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
    fn figures_keep_the_digits_that_count() {
        assert_eq!(figure(0.25), "0.25");
        assert_eq!(figure(1234.0), "1234");
        assert_eq!(figure(12_340.0), "12.3 k");
        assert_eq!(figure(12_340_000.0), "12.3 M");
    }
}
