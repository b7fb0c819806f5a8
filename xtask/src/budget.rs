//! `cargo xtask budget`: how many crates each library brings, and how many it may.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use xshell::Shell;

use crate::workspace::{FACADE, Workspace, cargo};

/// The limits of docs/architecture.md, for default features.
const LIMITS: &[(&str, usize)] = &[
    ("runtime-atomics", 12),
    ("runtime-ioext", 20),
    ("runtime-gc", 35),
    ("runtime-core", 70),
];

/// The count is for one platform, wherever it is taken: others have other system crates.
const PLATFORM: &str = "x86_64-unknown-linux-gnu";

/// Counts, prints a table and fails if a limit is passed.
pub(crate) fn run(sh: &Shell) -> Result<()> {
    println!("{:<32} {:>6} {:>6}", "library", "crates", "limit");
    let mut failures = Vec::new();
    for library in Workspace::load(sh)?.libraries() {
        let count = weight(sh, &library.name, &[])?;
        let limit = LIMITS
            .iter()
            .find(|(name, _)| *name == library.name)
            .map(|(_, limit)| *limit);
        report(&library.name, count, limit, &mut failures);
    }
    // Without features the facade is core under another name.
    let bare = weight(sh, FACADE, &["--no-default-features"])?;
    let core = weight(sh, "runtime-core", &[])?;
    report(
        "runtime without features",
        bare,
        Some(core + 1),
        &mut failures,
    );

    ensure!(failures.is_empty(), "over budget: {}", failures.join(", "));
    Ok(())
}

/// The number of crates in a package's tree of normal dependencies, with itself.
pub(crate) fn weight(sh: &Shell, package: &str, flags: &[&str]) -> Result<usize> {
    let tree = cargo(sh).args([
        "tree", "-e", "normal", "--prefix", "none", "--target", PLATFORM,
    ]);
    let listing = tree
        .args(["-p", package])
        .args(flags)
        .quiet()
        .ignore_stderr()
        .read()?;
    Ok(count_crates(&listing))
}

fn count_crates(listing: &str) -> usize {
    // `(*)` marks a crate whose own dependencies were listed before.
    let crates: BTreeSet<&str> = listing
        .lines()
        .map(|line| line.trim_end_matches(" (*)"))
        .collect();
    crates.len()
}

fn report(name: &str, count: usize, limit: Option<usize>, failures: &mut Vec<String>) {
    let shown = limit.map_or_else(String::new, |limit| limit.to_string());
    let over = limit.is_some_and(|limit| count > limit);
    println!(
        "{name:<32} {count:>6} {shown:>6}{}",
        if over { "  OVER" } else { "" }
    );
    if over {
        failures.push(format!("{name} brings {count} crates of {shown}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_that_is_listed_again_counts_once() {
        assert_eq!(
            count_crates("a v1.0.0\nb v1.0.0\nb v2.0.0\na v1.0.0 (*)\nb v1.0.0"),
            3
        );
    }

    #[test]
    fn the_limit_itself_is_within_budget() {
        let mut failures = Vec::new();
        report("a", 12, Some(12), &mut failures);
        report("b", 13, None, &mut failures);
        assert!(failures.is_empty());
        report("c", 13, Some(12), &mut failures);
        assert_eq!(failures, ["c brings 13 crates of 12"]);
    }
}
