//! `cargo xtask soak`: random tasks and faults against the example worker, see the package `soak`.

use anyhow::{Context, Result, ensure};
use xshell::Shell;

use crate::e2e::server::{self, Program};
use crate::flags;
use crate::generated_part::{GeneratedPart, today};
use crate::workspace::cargo;

const OUTPUT_DIR: &str = "target/soak";
const IMAGES_DIR: &str = "docs/images";
const RESULTS: GeneratedPart = GeneratedPart {
    page: "docs/soak.md",
    name: "soak",
};

/// Builds the worker, runs the soak test, and writes the results to the docs if requested.
pub(crate) fn run(sh: &Shell, flags: &flags::Soak) -> Result<()> {
    ensure!(
        cfg!(target_os = "linux"),
        "the soak test reads process statistics from /proc, which only Linux has"
    );
    let profile: &[&str] = if flags.release { &["--release"] } else { &[] };
    let worker = server::build(sh, Program::Example("worker"), profile)?;
    let soak = cargo(sh).args(["run", "--quiet", "--package", "soak"]);
    let soak = soak.args(profile).args(["--", "--worker"]).arg(worker);
    let mut soak = soak.args(["--out", OUTPUT_DIR]);
    for (name, value) in [
        ("--minutes", flags.minutes),
        ("--rate", flags.rate),
        ("--seed", flags.seed),
    ] {
        if let Some(value) = value {
            soak = soak.args([name, &value.to_string()]);
        }
    }
    let passed = soak.quiet().run();
    // Results of a failed run are written too.
    if flags.write {
        write_results(sh)?;
    }
    passed.context("the soak test failed")
}

/// Copies the plots and writes the tables with the date and the number of cores.
fn write_results(sh: &Shell) -> Result<()> {
    sh.create_dir(IMAGES_DIR)?;
    for path in sh.read_dir(OUTPUT_DIR)? {
        if path.extension().is_some_and(|extension| extension == "svg") {
            sh.copy_file(&path, IMAGES_DIR)?;
        }
    }
    let cores = std::thread::available_parallelism()?;
    let tables = sh.read_file(format!("{OUTPUT_DIR}/table.md"))?;
    let tables = format!("{}, Linux, {cores} cores. {tables}", today(sh)?);
    RESULTS.write(sh, &tables)
}
