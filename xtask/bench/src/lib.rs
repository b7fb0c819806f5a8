//! The harness of this workspace's benches: ours against a peer, in one run, with a bar.
//!
//! Absolute figures say more about a machine than about the code, so a case measures ours and a peer in turn, several
//! rounds, and its figure is the median of the rounds' ratios. A case without a peer compares the value itself.
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
//! The program does nothing unless `--bench` is among its arguments: `cargo bench` passes it, `cargo test --benches`
//! does not. It also takes `--quick` (fewer and shorter rounds), `--json` (one object a line) and a free word that
//! selects cases by a part of their name. The exit code is 1 if a bar is missed and 2 if an argument is unknown.

mod case;
mod measure;
mod options;
mod report;

use std::process::ExitCode;

pub use self::case::Case;
pub use self::measure::{peak_rss_mib, percentile, rate, time_ms, time_ns_each, time_us};
pub use self::report::Bar::{self, AtLeast, AtMost};

use self::options::Options;
use self::report::{Outcome, Report};

/// One bench program: runs cases and remembers whether each met its bar.
#[derive(Debug)]
pub struct Bench {
    options: Options,
    report: Report,
}

impl Bench {
    /// Runs `cases` as the program `name`, and returns what `main` should return.
    pub fn main(name: &str, cases: impl FnOnce(&mut Bench)) -> ExitCode {
        let options = match Options::parse(std::env::args().skip(1)) {
            Ok(options) => options,
            Err(unknown) => {
                eprintln!(
                    "unknown argument `{unknown}`; known: --quick, --json, and a part of a case's name"
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

    /// Begins a case; nothing runs before [`Case::ours`].
    ///
    /// `unit` names what the closures return, such as `lines/s` or `ms`.
    pub fn case<'a>(&'a mut self, name: &'a str, unit: &'a str) -> Case<'a> {
        Case::new(self, name, unit)
    }

    /// Reports that a case cannot run on this machine, and why.
    pub fn skip(&mut self, case: &str, reason: &str) {
        if self.options.selects(case) {
            self.report.add(Outcome::skipped(case, reason));
        }
    }

    /// Says whether `--quick` was given.
    pub fn quick(&self) -> bool {
        self.options.quick
    }

    /// Chooses a size: `full` normally, `quick` with `--quick`.
    pub fn pick<T>(&self, full: T, quick: T) -> T {
        if self.options.quick { quick } else { full }
    }
}
