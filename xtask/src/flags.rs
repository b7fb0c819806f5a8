//! The command line.

use std::process::ExitCode;

xflags::xflags! {
    /// Development tasks of this workspace; CI runs the same ones.
    cmd xtask {
        /// Run all checks, or only the named steps.
        cmd ci {
            /// fmt, tidy, budget, clippy, docs, features, loom, test.
            repeated step: String
        }
        /// Check the rules of docs/architecture.md and docs/style.md that a program can check.
        cmd tidy {}
        /// Check each library with each of its features, and alone from outside the workspace; needs cargo-hack.
        cmd features {
            /// Check only these packages.
            repeated package: String
            /// Check every pair of features, too.
            optional --pairs
        }
        /// Count the crates in the dependency tree of each library; check the limits and the docs of features.
        cmd budget {}
        /// Check the pages and build the documentation: rustdoc, and the book if mdBook is installed.
        cmd docs {
            /// Write generated pages instead of comparing them, and build nothing.
            optional --write
            /// Open the documentation in a browser.
            optional --open
        }
        /// Run the tests and print the line coverage of the libraries; needs cargo-llvm-cov.
        cmd coverage {
            /// Write the tables to docs/coverage.md.
            optional --write
        }
        /// Check the libraries with the oldest dependencies that the manifests allow.
        cmd minimal-versions {}
        /// Run the loom models.
        cmd loom {
            /// Run only models whose name contains one of these.
            repeated filter: String
            /// The maximum number of preemptions in an execution; default: no limit.
            optional --preemptions number: u32
        }
        /// Build and run every fuzz target; needs cargo-fuzz.
        cmd fuzz {
            /// Run only targets whose name contains one of these.
            repeated filter: String
            /// Seconds per target; default: 30.
            optional --seconds seconds: u32
        }
        /// Show the steps of a release: version, changelog, semver check, packages, tag.
        cmd release {
            /// Three numbers, such as 0.2.0.
            required version: String
            /// Commit and tag the release.
            optional --execute
        }
        /// Build the programs and pack them into an archive with a checksum, as the release workflow does; Linux only.
        cmd archive {}
        /// Run benchmarks against their peers; without a name, list the benchmarks.
        cmd bench {
            /// Benchmarks to run.
            repeated name: String
            /// Run all benchmarks.
            optional --all
            /// Run fewer and shorter rounds.
            optional --quick
            /// Print one JSON object per line.
            optional --json
            /// Write the tables and the growth plots of the benchmarks to the docs; prints JSON.
            optional --write
        }
        /// Run random tasks and faults against workers and check them for leaks; Linux only.
        cmd soak {
            /// Duration of the load in minutes; default: 3.
            optional --minutes minutes: u64
            /// Tasks created per minute; default: 40.
            optional --rate tasks: u64
            /// Seed of the random choices; default: a new one.
            optional --seed seed: u64
            /// Workers on the queue; default: 1.
            optional --workers count: u64
            /// The walls around tasks: none, user or strict; default: none.
            optional --isolation level: String
            /// Kill the server, and all workers except the first, at random times.
            optional --crashes
            /// Step the clock of the server forward at random times; a restart steps it back.
            optional --clock-steps
            /// Run this number of no-op tasks instead, and add them to those of earlier runs of the same worker.
            optional --no-op tasks: u64
            /// Build with optimizations.
            optional --release
            /// Write the plots and the tables to the docs.
            optional --write
        }
        /// Run end-to-end checks with third-party programs; without a name, list the checks.
        cmd e2e {
            /// Checks to run.
            repeated name: String
            /// Write the pictures of the check `browser` to the docs.
            optional --write
        }
    }
}

/// Parses the command line of this process.
///
/// # Errors
///
/// The exit code, after printing the requested help or the error.
pub(crate) fn parse() -> Result<Xtask, ExitCode> {
    Xtask::from_env().map_err(|error| {
        if !error.is_help() {
            eprintln!("error: {error}; see `cargo xtask --help`");
            return ExitCode::from(2);
        }
        let help = error.to_string();
        let task = std::env::args().nth(1).unwrap_or_default();
        println!("{}", section(&help, &task).unwrap_or(&help).trim_end());
        ExitCode::SUCCESS
    })
}

/// Returns the part of the help about one task.
fn section<'a>(help: &'a str, task: &str) -> Option<&'a str> {
    // xflags prints the help of all tasks. Two empty lines separate the tasks.
    let title = format!("xtask {task}\n");
    let (_, tasks) = help.split_once("\nSUBCOMMANDS:\n\n")?;
    let mut sections = tasks.split("\n\n\n");
    sections.find(|section| section.starts_with(&title))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_of_a_task_covers_only_that_task() {
        let error = Xtask::from_vec(vec!["ci".into(), "--help".into()]).expect_err("help");
        let help = error.to_string();
        let ci = section(&help, "ci").expect("a known task");
        assert!(ci.contains("clippy") && !ci.contains("--execute"), "{ci}");
        assert!(section(&help, "release").is_some_and(|it| it.contains("--execute")));
        assert_eq!(section(&help, "--help"), None);
    }
}
