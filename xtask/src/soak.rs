//! `cargo xtask soak`: random tasks and faults against the example worker, see the package `soak`.

use anyhow::{Context, Result, ensure};
use xshell::Shell;

use crate::e2e::server::{self, Program};
use crate::flags;
use crate::generated_part::{GeneratedPart, today};
use crate::workspace::cargo;

const OUTPUT_DIR: &str = "target/soak";
const IMAGES_DIR: &str = "docs/images";
const PAGE: &str = "docs/soak.md";

/// The generated part of the page, and the name of the file with its tables.
const RANDOM: &str = "soak";
const NO_OP: &str = "no-op";

/// Builds the programs, runs the soak test, and writes the results to the docs if requested.
pub(crate) fn run(sh: &Shell, flags: &flags::Soak) -> Result<()> {
    ensure!(
        cfg!(target_os = "linux"),
        "the soak test reads process statistics from /proc, which only Linux has"
    );
    let profile: &[&str] = if flags.release { &["--release"] } else { &[] };
    let worker = server::build(sh, Program::Example("worker"), profile)?;
    let server = server::build(sh, server::TASKCLUSTER, profile)?;
    let soak = cargo(sh).args(["run", "--quiet", "--package", "soak"]);
    let soak = soak.args(profile).args(["--", "--out", OUTPUT_DIR]);
    let soak = soak.arg("--worker").arg(worker).arg("--server").arg(server);
    let part = if flags.no_op.is_some() { NO_OP } else { RANDOM };
    // A run that ends with an error writes none, and earlier results must not get today's date.
    sh.remove_path(format!("{OUTPUT_DIR}/{part}.md"))?;
    let passed = soak.args(arguments(flags)).quiet().run();
    // Results of a failed run are written too.
    if flags.write {
        write_results(sh, part)?;
    }
    passed.context("the soak test failed")
}

/// Returns the arguments that are passed on.
fn arguments(flags: &flags::Soak) -> Vec<String> {
    let text = |value: Option<u64>| value.map(|value| value.to_string());
    let options = [
        ("--minutes", text(flags.minutes)),
        ("--rate", text(flags.rate)),
        ("--seed", text(flags.seed)),
        ("--workers", text(flags.workers)),
        ("--isolation", flags.isolation.clone()),
        ("--no-op", text(flags.no_op)),
    ];
    let options = options
        .into_iter()
        .filter_map(|(name, value)| Some([name.to_owned(), value?]));
    let switches = [
        ("--crashes", flags.crashes),
        ("--clock-steps", flags.clock_steps),
    ];
    let switches = switches.into_iter().filter(|(_, is_set)| *is_set);
    let switches = switches.map(|(name, _)| name.to_owned());
    options.flatten().chain(switches).collect()
}

/// Copies the plots and writes the tables with the date and the number of cores.
fn write_results(sh: &Shell, part: &str) -> Result<()> {
    sh.create_dir(IMAGES_DIR)?;
    for path in sh.read_dir(OUTPUT_DIR)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // Both kinds of runs write to the folder.
        if name.ends_with(".svg") && name.starts_with("soak-no-op") == (part == NO_OP) {
            sh.copy_file(&path, IMAGES_DIR)?;
        }
    }
    let cores = std::thread::available_parallelism()?;
    let tables = sh.read_file(format!("{OUTPUT_DIR}/{part}.md"))?;
    let tables = format!("{}, Linux, {cores} cores. {tables}", today(sh)?);
    let results = GeneratedPart {
        page: PAGE,
        name: part,
    };
    results.write(sh, &tables)
}
