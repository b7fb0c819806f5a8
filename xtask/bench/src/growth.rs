//! A case with several sizes: its figure is the exponent of the growth with the size.

use serde_json::json;

use crate::Bench;
use crate::measure::median;
use crate::report::{Bar, CaseResult};

/// A plot, which may have a line for each of several cases.
#[derive(Clone, Copy, Debug)]
pub struct Plot {
    /// The name of the file, without `growth-` and `.svg`.
    pub name: &'static str,
    /// The title, a noun such as `Time of a call`.
    pub title: &'static str,
    /// The name of the size, such as `resources`.
    pub by: &'static str,
}

/// A builder of a growth case, see [`Bench::growth`].
#[must_use = "a case runs when `run` is called"]
#[derive(Debug)]
pub struct Growth<'a> {
    bench: &'a mut Bench,
    plot: Plot,
    line: &'a str,
    unit: &'a str,
    bar: Option<Bar>,
    rounds: usize,
}

impl<'a> Growth<'a> {
    pub(crate) fn new(bench: &'a mut Bench, plot: Plot, line: &'a str, unit: &'a str) -> Self {
        let rounds = bench.pick(5, 3);
        Self {
            bench,
            plot,
            line,
            unit,
            bar: None,
            rounds,
        }
    }

    /// Sets the bar on the exponent.
    pub fn bar(mut self, bar: Bar) -> Self {
        self.bar = Some(bar);
        self
    }

    /// Sets the number of rounds; default: 5, or 3 with `--quick`.
    pub fn rounds(mut self, rounds: usize) -> Self {
        self.rounds = rounds.max(1);
        self
    }

    /// Measures the figure for each size, and returns the exponent, or `None` if the command line did not select the
    /// case.
    ///
    /// `set_up` runs once per size. `run` measures one round. The sizes alternate, so that a machine that slows down or
    /// speeds up favours none. The exponent is fitted to the medians of the rounds: 0 for a constant figure, 1 for one in
    /// proportion to the size.
    pub fn run<T>(
        self,
        sizes: &[u64],
        set_up: impl FnMut(u64) -> T,
        mut run: impl FnMut(&mut T, u64) -> f64,
    ) -> Option<f64> {
        let Plot { name, title, by } = self.plot;
        let case = format!("{}, exponent by {by}", self.line);
        if !self.bench.options.selects(&case) {
            return None;
        }
        let mut states: Vec<T> = sizes.iter().copied().map(set_up).collect();
        let mut figures = vec![Vec::new(); sizes.len()];
        for _ in 0..self.rounds {
            for ((state, size), figures) in states.iter_mut().zip(sizes).zip(&mut figures) {
                figures.push(run(state, *size));
            }
        }
        let medians = figures.into_iter().filter_map(|it| median(it.into_iter()));
        let sizes = sizes.iter().map(|size| *size as f64);
        let points: Vec<(f64, f64)> = sizes.zip(medians).collect();
        let exponent = exponent(&points);
        self.bench.report.add(CaseResult {
            case,
            unit: "exponent".to_owned(),
            ours: Some(exponent),
            bar: self.bar,
            met: self.bar.map(|bar| bar.is_met_by(exponent)),
            growth: Some(json!({
                "plot": name,
                "title": title,
                "by": by,
                "line": self.line,
                "unit": self.unit,
                "points": points,
            })),
            ..CaseResult::default()
        });
        Some(exponent)
    }
}

/// Fits `figure = factor * size^exponent` by least squares of the logarithms; NaN for fewer than two sizes.
fn exponent(points: &[(f64, f64)]) -> f64 {
    let logs: Vec<(f64, f64)> = points.iter().map(|(x, y)| (x.ln(), y.ln())).collect();
    let count = logs.len() as f64;
    let mean_x = logs.iter().map(|(x, _)| x).sum::<f64>() / count;
    let mean_y = logs.iter().map(|(_, y)| y).sum::<f64>() / count;
    let covariance: f64 = logs.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    let variance: f64 = logs.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    covariance / variance
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Options;

    fn growth(args: &[&str], figure: impl Fn(f64) -> f64) -> Option<f64> {
        let args = args.iter().map(ToString::to_string);
        let mut bench = Bench::new("test", Options::parse(args).expect("known arguments"));
        let plot = Plot {
            name: "test",
            title: "Time",
            by: "entries",
        };
        let growth = bench.growth(plot, "a call", "ns");
        growth.run(&[10, 100, 1000], |_| (), |(), size| figure(size as f64))
    }

    #[test]
    fn exponent_of_a_power_is_exact() {
        for (power, expected) in [(0, 0.0), (1, 1.0), (2, 2.0)] {
            let exponent = growth(&[], |size| 7.0 * size.powi(power)).expect("it runs");
            assert!((exponent - expected).abs() < 1e-9, "{power}: {exponent}");
        }
    }

    #[test]
    fn unselected_growth_case_does_not_run() {
        assert_eq!(growth(&["writers"], |_| unreachable!("not selected")), None);
    }

    #[test]
    fn one_size_meets_no_bar() {
        assert!(!Bar::AtMost(1.0).is_met_by(exponent(&[(1.0, 1.0)])));
    }
}
