//! `cargo xtask fuzz`: builds every fuzz target and runs each for a while.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use xshell::{Shell, cmd};

/// A target, and the folder of the fuzz crate that has it.
struct Target {
    name: String,
    folder: PathBuf,
}

/// Runs the targets whose name contains one of the filters, or all, for so many seconds each.
pub(crate) fn run(sh: &Shell, filters: &[String], seconds: u32) -> Result<()> {
    let chosen = |target: &Target| {
        filters.is_empty() || filters.iter().any(|filter| target.name.contains(filter))
    };
    let all = discover(sh)?;
    let targets: Vec<&Target> = all.iter().filter(|target| chosen(target)).collect();
    ensure!(
        !targets.is_empty(),
        "no fuzz target of that name; there are: {}",
        names(&all)
    );
    let has_tool = cmd!(sh, "cargo fuzz --version").quiet().ignore_stderr();
    has_tool
        .read()
        .context("nothing was fuzzed: `cargo install --locked cargo-fuzz` first")?;
    for target in &targets {
        println!("\n== {}", target.name);
        fuzz(sh, target, seconds).with_context(|| format!("fuzz target `{}`", target.name))?;
    }
    println!("\n{} passed, 0 failed", targets.len());
    Ok(())
}

fn names(targets: &[Target]) -> String {
    let names: Vec<&str> = targets.iter().map(|target| target.name.as_str()).collect();
    names.join(", ")
}

/// One source file below `fuzz/fuzz_targets` of a crate is one target.
fn discover(sh: &Shell) -> Result<Vec<Target>> {
    let mut targets = Vec::new();
    for package in sh.read_dir("crates")? {
        let folder = package.join("fuzz");
        let sources = sh.read_dir(folder.join("fuzz_targets")).unwrap_or_default();
        targets.extend(sources.iter().filter_map(|source| target(&folder, source)));
    }
    targets.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(targets)
}

fn target(folder: &Path, source: &Path) -> Option<Target> {
    let is_rust = source
        .extension()
        .is_some_and(|extension| extension == "rs");
    let name = source.file_stem().filter(|_| is_rust)?;
    Some(Target {
        name: name.to_string_lossy().into_owned(),
        folder: folder.to_owned(),
    })
}

fn fuzz(sh: &Shell, target: &Target, seconds: u32) -> Result<()> {
    let Target { name, folder } = target;
    let limit = format!("-max_total_time={seconds}");
    // Coverage needs unstable flags of the compiler; a stable one takes them when it is told to.
    let run = cmd!(sh, "cargo fuzz run --fuzz-dir {folder} {name} -- {limit}")
        .env("RUSTC_BOOTSTRAP", "1");
    Ok(run.run()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_source_and_nothing_else() {
        let folder = Path::new("crates/a/fuzz");
        let found = target(folder, Path::new("crates/a/fuzz/fuzz_targets/redactor.rs"));
        assert_eq!(found.expect("a source").name, "redactor");
        assert!(target(folder, Path::new("crates/a/fuzz/fuzz_targets/notes.md")).is_none());
    }

    #[test]
    fn the_workspace_has_targets() {
        let sh = Shell::new().expect("there is a current folder");
        sh.change_dir(crate::workspace::root());
        assert!(
            !discover(&sh)
                .expect("the folder of crates can be read")
                .is_empty()
        );
    }
}
