//! The command line.

use std::process::ExitCode;

xflags::xflags! {
    /// Development tasks of this workspace; CI runs the same ones.
    cmd xtask {
        /// Run every check, or only the named steps.
        cmd ci {
            /// fmt, tidy, budget, docs, clippy, features, rustdoc, loom, test.
            repeated step: String
        }
        /// Check the rules of docs/architecture.md and docs/style.md that a program can check.
        cmd tidy {}
        /// Check every library with each pair of its features.
        cmd features {
            /// Only these packages.
            repeated package: String
        }
        /// Count the crates that each library brings and compare with its limit.
        cmd budget {}
        /// Check the generated READMEs, the summary of the book and all links; build the book where mdBook is installed.
        cmd docs {
            /// Write what is generated instead of comparing it.
            optional --write
        }
        /// Run the tests and tell which lines of the libraries they run; needs LLVM's tools.
        cmd coverage {
            /// Put the tables into the docs.
            optional --write
        }
        /// Check the workspace with the oldest dependencies that the manifests allow.
        cmd minimal-versions {}
        /// Run the loom models.
        cmd loom {
            /// Only models whose name contains this.
            repeated filter: String
        }
        /// Build every fuzz target and run each for a while; needs cargo-fuzz.
        cmd fuzz {
            /// Only targets whose name contains this.
            repeated filter: String
            /// How long each runs, in seconds; 30 by default.
            optional --seconds seconds: u32
        }
        /// Say what the release of a version would do: version, changelog, semver, packages, tag.
        cmd release {
            /// Three numbers, such as 0.2.0.
            required version: String
            /// Commit and tag it.
            optional --execute
        }
        /// Run benches against their peers; without a name, list them.
        cmd bench {
            /// Names of benches.
            repeated name: String
            /// Run every bench.
            optional --all
            /// Fewer and shorter rounds.
            optional --quick
            /// One JSON object a line.
            optional --json
        }
        /// Run random tasks with random faults, and see whether the worker stays as it was; Linux only.
        cmd soak {
            /// For how long tasks come; 3 by default.
            optional --minutes minutes: u64
            /// How many tasks come in a minute; 40 by default.
            optional --rate tasks: u64
            /// What to choose by; another one each time by default.
            optional --seed seed: u64
            /// Optimized programs, whose figures say more.
            optional --release
            /// Put the plots and the table into the docs.
            optional --write
        }
        /// Run checks with programs of others; without a name, list them.
        cmd e2e {
            /// Names of checks.
            repeated name: String
        }
    }
}

/// The command line of this process. Where it says nothing to do, or nothing that can be done, this answers it:
/// with the help for one task or for all, or with an error.
pub(crate) fn parse() -> Result<Xtask, ExitCode> {
    Xtask::from_env().map_err(|error| {
        if !error.is_help() {
            eprintln!("error: {error}; `cargo xtask --help` says what there is");
            return ExitCode::from(2);
        }
        let help = error.to_string();
        let task = std::env::args().nth(1).unwrap_or_default();
        println!("{}", section(&help, &task).unwrap_or(&help).trim_end());
        ExitCode::SUCCESS
    })
}

/// The part of the help that tells of one task.
fn section<'a>(help: &'a str, task: &str) -> Option<&'a str> {
    let head = format!("xtask {task}\n");
    let of_tasks = help.split_once("\nSUBCOMMANDS:\n\n")?.1;
    let mut sections = of_tasks.split("\n\n\n");
    sections.find(|section| section.starts_with(&head))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_for_a_task_tells_of_that_task_alone() {
        let error = Xtask::from_vec(vec!["ci".into(), "--help".into()]).expect_err("it is help");
        let help = error.to_string();
        let ci = section(&help, "ci").expect("there is such a task");
        assert!(ci.contains("clippy") && !ci.contains("--execute"), "{ci}");
        assert!(section(&help, "release").is_some_and(|it| it.contains("--execute")));
        assert_eq!(section(&help, "--help"), None);
    }
}
