//! `cargo xtask archive`: builds the programs, strips them, and packs them into an archive with a checksum.
//!
//! The release workflow runs it on each platform. The archive of a commit is the same for the same
//! compiler and version of binutils, folder of the repository and folder of cargo.

use std::fs;

use anyhow::{Context, Result};
use xshell::{Shell, cmd};

use crate::workspace::{Workspace, cargo};

/// The programs that users install, with their packages.
const PROGRAMS: &[(&str, &str)] = &[
    ("taskcluster-dev", "runtime-app"),
    ("worker", "worker-runtime"),
];
/// The features of the programs.
const FEATURES: &str = "app,process";
/// The profile of the programs in the root manifest.
const PROFILE: &str = "archive";
const DOCUMENTS: &[&str] = &["CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT", "README.md"];

/// Writes the archive and its checksum to `target/archives`, and prints their paths.
pub(crate) fn run(sh: &Shell) -> Result<()> {
    let workspace = Workspace::load(sh)?;
    // All at once, so that their dependencies have the same features and are compiled once.
    let build = cargo(sh).args(["build", "--locked", "--profile", PROFILE]);
    let programs = PROGRAMS.iter();
    let programs = programs.flat_map(|(program, package)| ["--bin", program, "-p", package]);
    build.args(["--features", FEATURES]).args(programs).run()?;
    let version = workspace.libraries().next().map(|it| &it.version);
    let version = version.context("the workspace has no library")?;
    let name = format!("worker-runtime-{version}-{}", host(sh)?);
    let folder = workspace.target_directory.join("archives");
    let content = folder.join(&name);
    sh.remove_path(&content)?;
    sh.create_dir(&content)?;
    for (program, _) in PROGRAMS {
        let built = workspace.target_directory.join(PROFILE).join(program);
        let packed = content.join(program);
        // The names of functions stay, for the backtraces of users.
        cmd!(sh, "strip --strip-debug -o {packed} {built}").run()?;
        let megabytes = fs::metadata(&packed)?.len() as f64 / 1e6;
        println!("{program}: {megabytes:.1} MB");
    }
    for document in DOCUMENTS {
        sh.copy_file(document, &content)?;
    }
    // Neither the time of the build nor the user of the machine is in the archive.
    let time = cmd!(sh, "git log -1 --format=@%ct").quiet().read()?;
    let archive = format!("{name}.tar.gz");
    let _in_folder = sh.push_dir(&folder);
    let options = [
        "--sort=name",
        "--owner=0",
        "--group=0",
        "--numeric-owner",
        "--mode=u+rw,go=rX",
    ];
    cmd!(
        sh,
        "tar --create --gzip {options...} --mtime {time} --file {archive} {name}"
    )
    .run()?;
    let checksum = cmd!(sh, "sha256sum {archive}").read()?;
    sh.write_file(format!("{archive}.sha256"), format!("{checksum}\n"))?;
    println!("{}", folder.join(&archive).display());
    println!("{checksum}");
    Ok(())
}

/// Returns the name of the platform of the compiler, such as `x86_64-unknown-linux-gnu`.
fn host(sh: &Shell) -> Result<String> {
    let version = cmd!(sh, "rustc --version --verbose").quiet().read()?;
    let mut lines = version.lines();
    let host = lines.find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc does not name its host")?.to_owned())
}
