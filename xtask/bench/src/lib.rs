//! The harness of this workspace's benchmarks, which compare this project with a peer in the same run.
//!
//! Absolute figures depend on the machine more than on the code. So a case measures this project and a peer alternately
//! for several rounds, and the bar is on the median of the rounds' ratios. Without a peer, the bar is on the value itself.
//!
//! ```
//! use bench_harness::{AtLeast, Bench, rate};
//!
//! fn main() -> std::process::ExitCode {
//!     Bench::main("sum", |bench| {
//!         let count = bench.pick(1_000_000, 10_000);
//!         bench
//!             .case("sum of a range", "numbers/s")
//!             .bar(AtLeast(0.5))
//!             .peer("by formula", || rate(count, || count * (count - 1) / 2))
//!             .ours(|| rate(count, || (0..count).sum::<u64>()));
//!     })
//! }
//! ```
//!
//! A program exits at once without the argument `--bench`, which `cargo bench` passes and `cargo test --benches` does
//! not. Other arguments are `--quick` (fewer and shorter rounds), `--json` (one object per line) and a part of a name
//! that selects cases. The exit code is 1 if a bar is missed and 2 if an argument is unknown.

mod case;
mod growth;
mod measure;
mod options;
mod report;

use std::process::ExitCode;

pub use self::case::Case;
pub use self::growth::{Growth, Plot};
pub use self::measure::{peak_rss_mib, percentile, rate, time_ms, time_ns_each, time_us};
pub use self::report::Bar::{self, AtLeast, AtMost};
pub use self::report::figure;

use self::options::Options;
use self::report::{CaseResult, Report};

/// A benchmark: runs cases and reports whether each met its bar.
#[derive(Debug)]
pub struct Bench {
    options: Options,
    report: Report,
}

impl Bench {
    /// Runs the cases of the benchmark `name` and returns the exit code for `main`.
    pub fn main(name: &str, cases: impl FnOnce(&mut Bench)) -> ExitCode {
        let options = match Options::parse(std::env::args().skip(1)) {
            Ok(options) => options,
            Err(unknown) => {
                eprintln!(
                    "unknown argument `{unknown}`; known arguments: --quick, --json, part of a case name"
                );
                return ExitCode::from(2);
            }
        };
        if !options.bench {
            return ExitCode::SUCCESS;
        }
        let mut bench = Self::new(name, options);
        cases(&mut bench);
        bench.report.finish()
    }

    fn new(name: &str, options: Options) -> Self {
        Self {
            report: Report::new(name, options.json),
            options,
        }
    }

    /// Creates a case, which [`Case::ours`] runs.
    ///
    /// `unit` is the unit of the figures, such as `lines/s` or `ms`.
    pub fn case<'a>(&'a mut self, name: &'a str, unit: &'a str) -> Case<'a> {
        Case::new(self, name, unit)
    }

    /// Creates a case with several sizes, which [`Growth::run`] runs: a line of a plot by size.
    ///
    /// `unit` is the unit of the figures. The bar is on the exponent.
    pub fn growth<'a>(&'a mut self, plot: Plot, line: &'a str, unit: &'a str) -> Growth<'a> {
        Growth::new(self, plot, line, unit)
    }

    /// Reports that a case cannot run on this machine, with the reason.
    pub fn skip(&mut self, case: &str, reason: &str) {
        if self.options.selects(case) {
            self.report.add(CaseResult::skipped(case, reason));
        }
    }

    /// Returns whether `--quick` was given.
    pub fn quick(&self) -> bool {
        self.options.quick
    }

    /// Returns `quick` with `--quick`, otherwise `full`.
    pub fn pick<T>(&self, full: T, quick: T) -> T {
        if self.options.quick { quick } else { full }
    }
}
