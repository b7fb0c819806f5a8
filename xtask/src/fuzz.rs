//! `cargo xtask fuzz`: builds every fuzz target and runs it for a while.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use xshell::{Shell, cmd};

use crate::by_name;
use crate::tools;

/// A fuzz target and the folder of its fuzz crate.
struct FuzzTarget {
    name: String,
    folder: PathBuf,
}

/// Runs the targets whose name contains one of the filters, or all, for this time each.
pub(crate) fn run(sh: &Shell, filters: &[String], seconds: u32) -> Result<()> {
    let is_selected = |target: &&FuzzTarget| {
        filters.is_empty() || filters.iter().any(|filter| target.name.contains(filter))
    };
    let all = discover(sh)?;
    let selected: Vec<&FuzzTarget> = all.iter().filter(is_selected).collect();
    ensure!(
        !selected.is_empty(),
        "no fuzz target matches; known targets: {}",
        by_name::list(all.iter().map(|target| target.name.as_str()))
    );
    tools::require_subcommand(sh, "fuzz")?;
    for target in &selected {
        println!("\n== {}", target.name);
        fuzz(sh, target, seconds).with_context(|| format!("fuzz target `{}`", target.name))?;
    }
    println!("\n{} passed, 0 failed", selected.len());
    Ok(())
}

/// Returns the targets of all crates: each source file in `fuzz/fuzz_targets` is one.
fn discover(sh: &Shell) -> Result<Vec<FuzzTarget>> {
    let mut targets = Vec::new();
    for package in sh.read_dir("crates")? {
        let folder = package.join("fuzz");
        let sources = sh.read_dir(folder.join("fuzz_targets")).unwrap_or_default();
        targets.extend(sources.iter().filter_map(|source| target(&folder, source)));
    }
    targets.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(targets)
}

fn target(folder: &Path, source: &Path) -> Option<FuzzTarget> {
    let is_rust = source.extension()? == "rs";
    let name = source.file_stem().filter(|_| is_rust)?;
    Some(FuzzTarget {
        name: name.to_string_lossy().into_owned(),
        folder: folder.to_owned(),
    })
}

fn fuzz(sh: &Shell, target: &FuzzTarget, seconds: u32) -> Result<()> {
    let FuzzTarget { name, folder } = target;
    let limit = format!("-max_total_time={seconds}");
    // The sanitizer's coverage needs unstable compiler flags, which this variable allows on a stable compiler.
    let run = cmd!(sh, "cargo fuzz run --fuzz-dir {folder} {name} -- {limit}")
        .env("RUSTC_BOOTSTRAP", "1");
    Ok(run.run()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rust_sources_are_targets() {
        let folder = Path::new("crates/a/fuzz");
        let found = target(folder, Path::new("crates/a/fuzz/fuzz_targets/redactor.rs"));
        assert_eq!(found.expect("a source").name, "redactor");
        assert!(target(folder, Path::new("crates/a/fuzz/fuzz_targets/notes.md")).is_none());
    }

    #[test]
    fn workspace_has_targets() {
        let sh = Shell::new().expect("the current folder exists");
        sh.change_dir(crate::workspace::root());
        assert!(!discover(&sh).expect("the crates can be listed").is_empty());
    }
}
