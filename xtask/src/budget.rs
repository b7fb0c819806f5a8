//! `cargo xtask budget`: the number of crates in the dependency tree of each library, the limits, and the docs of features.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use xshell::Shell;

use crate::heavy_dependencies;
use crate::workspace::{FACADE, Workspace, cargo};

/// The limits of docs/architecture.md, for default features.
const LIMITS: &[(&str, usize)] = &[
    ("runtime-atomics", 12),
    ("runtime-ioext", 20),
    ("runtime-gc", 35),
    ("runtime-sandbox", 25),
    ("runtime-core", 70),
];

/// Trees are resolved for one platform on every machine, since each platform has its own system crates.
const PLATFORM: &str = "x86_64-unknown-linux-gnu";

/// Prints the table and fails if a limit is exceeded.
pub(crate) fn run(sh: &Shell) -> Result<()> {
    println!("{:<32} {:>6} {:>6}", "library", "crates", "limit");
    let mut exceeded = Vec::new();
    let workspace = Workspace::load(sh)?;
    for library in workspace.libraries() {
        let name = &library.name;
        let limit = LIMITS.iter().find(|(limited, _)| limited == name);
        let limit = limit.map(|(_, limit)| *limit);
        exceeded.extend(report(name, dependency_count(sh, name, &[])?, limit));
    }
    // Without features the facade only re-exports core.
    let facade = dependency_count(sh, FACADE, &["--no-default-features"])?;
    let limit = dependency_count(sh, "runtime-core", &[])? + 1;
    exceeded.extend(report("runtime without features", facade, Some(limit)));

    ensure!(exceeded.is_empty(), "over budget: {}", exceeded.join(", "));
    heavy_dependencies::check(sh, &workspace)
}

/// Returns the number of crates in a package's tree of normal dependencies, including the package.
pub(crate) fn dependency_count(sh: &Shell, package: &str, flags: &[&str]) -> Result<usize> {
    Ok(crates(&tree(sh, package, flags)?).count())
}

/// Returns the names of the crates in a package's tree of normal dependencies, including the package.
pub(crate) fn dependencies(sh: &Shell, package: &str, flags: &[&str]) -> Result<BTreeSet<String>> {
    let tree = tree(sh, package, flags)?;
    let names = crates(&tree).filter_map(|line| line.split(' ').next());
    Ok(names.map(str::to_owned).collect())
}

fn tree(sh: &Shell, package: &str, flags: &[&str]) -> Result<String> {
    let tree = cargo(sh).args(["tree", "-e", "normal", "--prefix", "none"]);
    let tree = tree.args(["--target", PLATFORM, "-p", package]).args(flags);
    Ok(tree.quiet().ignore_stderr().read()?)
}

/// Returns each crate with its version once.
fn crates(tree: &str) -> impl Iterator<Item = &str> {
    // `(*)` marks a crate whose dependencies are listed above.
    let crates = tree.lines().map(|line| line.trim_end_matches(" (*)"));
    crates.collect::<BTreeSet<_>>().into_iter()
}

/// Prints a row of the table; returns the error if the count exceeds the limit.
fn report(name: &str, count: usize, limit: Option<usize>) -> Option<String> {
    let over = limit.filter(|limit| count > *limit);
    let limit = limit.map_or_else(String::new, |limit| limit.to_string());
    let note = if over.is_some() { "  OVER" } else { "" };
    println!("{name:<32} {count:>6} {limit:>6}{note}");
    over.map(|limit| format!("{name} has {count} crates, limit {limit}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_crates_count_once() {
        let tree = "a v1.0.0\nb v1.0.0\nb v2.0.0\na v1.0.0 (*)\nb v1.0.0";
        assert_eq!(crates(tree).count(), 3);
    }

    #[test]
    fn limit_is_inclusive() {
        assert_eq!(report("a", 12, Some(12)), None);
        assert_eq!(report("b", 13, None), None);
        let exceeded = report("c", 13, Some(12));
        assert_eq!(exceeded.as_deref(), Some("c has 13 crates, limit 12"));
    }
}
