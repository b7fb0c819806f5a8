//! `cargo xtask coverage`: which lines of the libraries the tests run.
//!
//! The compiler counts, and LLVM's own tools read what it counted. Only members of the workspace are compiled so, by a
//! wrapper around `rustc`, so that their dependencies need not be compiled again.

mod report;
mod tools;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use xshell::{Shell, cmd};

use crate::docs::table::Marks;
use crate::workspace::cargo;
use tools::Tools;

/// What the tests write while they run: a file for each process.
const PROFILES: &str = "target/coverage/profiles";
const MERGED: &str = "target/coverage/merged.profdata";
const WRAPPER: &str = "xtask/coverage/rustc.sh";
const PAGE: &str = "docs/coverage.md";
const MARKS: Marks = Marks {
    begin: "<!-- coverage:begin -->",
    end: "<!-- coverage:end -->",
};

/// Runs the tests, prints the table, and puts it into the docs when asked.
pub(crate) fn run(sh: &Shell, write: bool) -> Result<()> {
    let Some(tools) = Tools::find(sh)? else {
        bail!(
            "nothing was measured: LLVM's tools that read what this compiler writes are missing; \
             `rustup component add llvm-tools`, or install llvm-{}",
            tools::major(sh)?
        );
    };
    sh.remove_path(PROFILES)?;
    sh.create_dir(PROFILES)?;
    let programs = build(sh)?;
    let passed = test(sh);
    let export = export(sh, &tools, &programs)?;
    let report = report::table(&export, &sh.current_dir())?;
    println!("\n{report}");
    if write {
        let today = cmd!(sh, "date -u +%Y-%m-%d").quiet().read()?;
        let page = sh.read_file(PAGE)?;
        let page = MARKS.replace(&page, &format!("Linux, {today}.\n\n{report}"));
        sh.write_file(
            PAGE,
            page.with_context(|| format!("{PAGE} has no place for it"))?,
        )?;
    }
    passed.context("a test failed while its coverage was measured")
}

/// Doctests need a nightly compiler to be counted, so they are left out.
const SELECTION: &[&str] = &[
    "test",
    "--workspace",
    "--all-features",
    "--lib",
    "--bins",
    "--tests",
    "--examples",
];

fn counting<'a>(sh: &'a Shell, more: &[&str]) -> xshell::Cmd<'a> {
    let root = sh.current_dir();
    // Eight files for each program, which its processes share: thousands of them would fill the disk.
    let profiles = root.join(PROFILES).join("%8m.profraw");
    cargo(sh)
        .args(SELECTION)
        .args(more)
        .env("RUSTC_WORKSPACE_WRAPPER", root.join(WRAPPER))
        .env("LLVM_PROFILE_FILE", profiles)
}

/// Compiles, and returns every program that counts.
fn build(sh: &Shell) -> Result<Vec<PathBuf>> {
    let messages = counting(
        sh,
        &["--no-run", "--message-format=json-render-diagnostics"],
    )
    .read()?;
    let programs: Vec<PathBuf> = messages.lines().filter_map(program).collect();
    ensure!(!programs.is_empty(), "cargo named no test program");
    Ok(programs)
}

fn program(message: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(message).ok()?;
    Some(message["executable"].as_str()?.into())
}

fn test(sh: &Shell) -> Result<()> {
    Ok(counting(sh, &["--no-fail-fast"]).run()?)
}

/// What LLVM tells of every file.
fn export(sh: &Shell, tools: &Tools, programs: &[PathBuf]) -> Result<Value> {
    let Tools { profdata, cov } = tools;
    cmd!(
        sh,
        "{profdata} merge --sparse --failure-mode=all --output {MERGED} {PROFILES}"
    )
    .run()?;
    let objects = programs
        .iter()
        .flat_map(|program| [Path::new("--object"), program]);
    let export = cmd!(sh, "{cov} export --summary-only --instr-profile {MERGED}").args(objects);
    let json = export.quiet().read()?;
    serde_json::from_str(&json).context("cannot read what llvm-cov exports")
}
