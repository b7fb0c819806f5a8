//! `cargo xtask soak`: random tasks and faults for the example worker, see the package `soak`.

use anyhow::{Context, Result, bail};
use xshell::{Shell, cmd};

use crate::docs::table;
use crate::e2e::server;
use crate::flags;
use crate::workspace::{FACADE, cargo};

const OUT: &str = "target/soak";
const PAGE: &str = "docs/soak.md";
const IMAGES: &str = "docs/images";
const MARKS: table::Marks = table::Marks {
    begin: "<!-- soak:begin -->",
    end: "<!-- soak:end -->",
};

/// Builds what it needs, soaks the worker, and puts what came out into the docs when asked.
pub(crate) fn run(sh: &Shell, flags: &flags::Soak) -> Result<()> {
    if !cfg!(target_os = "linux") {
        bail!("the soak reads what a process takes from /proc, which only Linux has");
    }
    let profile: &[&str] = if flags.release { &["--release"] } else { &[] };
    let worker = server::build(sh, FACADE, "worker", profile)?;
    let mut soak = cargo(sh).args(["run", "--quiet", "--package", "soak"]);
    soak = soak.args(profile).args(["--", "--worker"]).arg(worker);
    soak = soak.args(["--out", OUT]);
    let numbers = [
        ("--minutes", flags.minutes),
        ("--rate", flags.rate),
        ("--seed", flags.seed),
    ];
    for (name, number) in numbers {
        soak = soak.args(
            number
                .map(|number| [name.to_owned(), number.to_string()])
                .into_iter()
                .flatten(),
        );
    }
    let passed = soak.quiet().run();
    if flags.write {
        write(sh)?;
    }
    passed.context("the worker did not stay as it was")
}

/// The plots, and the table with the day and the machine.
fn write(sh: &Shell) -> Result<()> {
    sh.create_dir(IMAGES)?;
    for path in sh.read_dir(OUT)? {
        if path.extension().is_some_and(|extension| extension == "svg") {
            sh.copy_file(&path, IMAGES)?;
        }
    }
    let today = cmd!(sh, "date -u +%Y-%m-%d").quiet().read()?;
    let cores = std::thread::available_parallelism()?;
    let fresh = sh.read_file(format!("{OUT}/table.md"))?;
    let fresh = format!("{today}, Linux, {cores} cores. {fresh}");
    let page = sh.read_file(PAGE)?;
    let page = MARKS
        .replace(&page, &fresh)
        .with_context(|| format!("{PAGE} has no place for it"))?;
    sh.write_file(PAGE, page)?;
    println!("{PAGE}: written");
    Ok(())
}
