//! The Containerfile of the production guide, step by step on this machine, and the configuration of its manifest.
//!
//! No container engine is needed. The steps that would change the machine are skipped and printed.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use xshell::{Shell, cmd};

use crate::docs::production::{PRODUCTION, Services};
use crate::tools;
use crate::workspace::Workspace;

/// Runs the steps, and then the program with the arguments of the container.
pub(super) fn run(sh: &Shell) -> Result<()> {
    let services = Services::parse(&sh.read_file(PRODUCTION)?)?;
    let folder = sh.create_temp_dir()?;
    let root = folder.path();
    for (name, arguments) in &services.container {
        match name.as_str() {
            "RUN" if arguments.starts_with("cargo build") => build(sh, arguments)?,
            "RUN" if arguments.starts_with("apt-get") => simulate_install(sh, arguments)?,
            "COPY" if arguments.starts_with("--from=build ") => copy(sh, arguments, root)?,
            _ => println!("container: skipped: {name} {arguments}"),
        }
    }
    let entrypoint = services.entrypoint()?;
    let program = root.join("usr/local/bin").join(&entrypoint[0]);
    let version = cmd!(sh, "{program} --version").read()?;
    ensure!(version.starts_with("worker "), "the program is `{version}`");
    // The program reads the configuration of the manifest: a key that it does not know is an error.
    let config = root.join("worker.yml");
    sh.write_file(&config, services.config()?)?;
    let print = cmd!(sh, "{program} print-config --local --config {config}");
    let printed = print.env("POD_NAME", "worker-0").quiet().read()?;
    ensure!(
        printed.contains("worker-0"),
        "the pod does not name the worker:\n{printed}"
    );
    Ok(())
}

/// Runs the build as it stands, without optimizations, which take much longer.
fn build(sh: &Shell, command: &str) -> Result<()> {
    let words: Vec<&str> = command
        .split(' ')
        .filter(|word| *word != "--release")
        .collect();
    let (program, arguments) = words.split_first().context("an empty RUN")?;
    Ok(cmd!(sh, "{program} {arguments...}").run()?)
}

/// Asks apt whether the packages exist, on a machine with apt.
fn simulate_install(sh: &Shell, command: &str) -> Result<()> {
    let (_, install) = command
        .split_once("install -y ")
        .context("no packages in RUN")?;
    let packages: Vec<&str> = install
        .split_whitespace()
        .take_while(|it| *it != "&&")
        .collect();
    if tools::succeeds(cmd!(sh, "apt-cache show coreutils")) {
        cmd!(sh, "apt-get install --simulate {packages...}")
            .quiet()
            .ignore_stdout()
            .run()?;
    } else {
        println!(
            "container: skipped, no package lists of apt: {}",
            packages.join(" ")
        );
    }
    Ok(())
}

fn copy(sh: &Shell, arguments: &str, root: &Path) -> Result<()> {
    let words: Vec<&str> = arguments.split(' ').collect();
    let [_, source, target] = words[..] else {
        bail!("`COPY {arguments}` has another form");
    };
    let built = source
        .strip_prefix("/src/target/release/")
        .context("not a program of the build")?;
    let target = root.join(target.trim_start_matches('/'));
    sh.create_dir(&target)?;
    let profile = Workspace::load(sh)?.target_directory.join("debug");
    Ok(sh.copy_file(profile.join(built), target)?)
}
