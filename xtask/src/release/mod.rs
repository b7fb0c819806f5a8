//! `cargo xtask release VERSION`: says what a release would do, and with `--execute` commits and tags it.
//!
//! A tag on main makes `.github/workflows/release.yml` publish: no token is on a developer's machine.

mod changelog;
mod version;

use anyhow::{Context, Result, ensure};
use xshell::{Shell, cmd};

use crate::docs;
use crate::workspace::{Workspace, cargo};
use version::Version;

const MANIFEST: &str = "Cargo.toml";
const CHANGELOG: &str = "CHANGELOG.md";

/// Plans the release of a version, checks that every crate can be packaged, and carries it out when asked.
pub(crate) fn run(sh: &Shell, wanted: &str, execute: bool) -> Result<()> {
    let wanted: Version = wanted.parse()?;
    let manifest = sh.read_file(MANIFEST)?;
    let current = version::current(&manifest)?;
    let tag = last_tag(sh)?;
    // Before the first tag, the version that is in the manifest may be released as it is.
    ensure!(
        wanted > current || (wanted == current && tag.is_none()),
        "{wanted} does not come after {current}, the version in {MANIFEST}"
    );
    let manifest = version::bump(&manifest, current, wanted);
    let today = cmd!(sh, "date -u +%Y-%m-%d").quiet().read()?;
    let changelog = changelog::close(&sh.read_file(CHANGELOG)?, &wanted.to_string(), &today)?;

    println!("version    {current} -> {wanted}, in {MANIFEST}");
    println!("changelog  {} entries under {wanted}", changelog.entries);
    let compatible = check_compatibility(sh, tag.as_deref(), current, wanted)?;
    check_packages(sh)?;
    println!("tag        v{wanted}");
    if !execute {
        println!("\nnothing was changed; `--execute` commits and tags this");
        return Ok(());
    }
    ensure!(
        compatible,
        "`cargo install --locked cargo-semver-checks` first: {wanted} promises compatibility"
    );
    ensure_releasable(sh)?;
    sh.write_file(MANIFEST, manifest)?;
    sh.write_file(CHANGELOG, changelog.text)?;
    // Cargo, asked about the workspace, writes the new versions into Cargo.lock.
    docs::run(sh, true)?;
    let name = format!("v{wanted}");
    cmd!(sh, "git commit --all --message {name}").run()?;
    cmd!(sh, "git tag --annotate {name} --message {name}").run()?;
    println!("\n`git push --follow-tags` publishes it");
    Ok(())
}

/// The newest tag of a release, if there is one.
fn last_tag(sh: &Shell) -> Result<Option<String>> {
    let tags = cmd!(sh, "git tag --list v* --sort=-version:refname")
        .quiet()
        .read()?;
    Ok(tags.lines().next().map(str::to_owned))
}

fn ensure_releasable(sh: &Shell) -> Result<()> {
    let branch = cmd!(sh, "git branch --show-current").quiet().read()?;
    ensure!(
        branch == "main",
        "releases are made on main, not on `{branch}`"
    );
    let changed = cmd!(sh, "git status --porcelain").quiet().read()?;
    ensure!(changed.is_empty(), "commit or stash first:\n{changed}");
    Ok(())
}

/// A version that promises compatibility with the last one has to keep it. `false` if nobody could look.
fn check_compatibility(
    sh: &Shell,
    tag: Option<&str>,
    current: Version,
    wanted: Version,
) -> Result<bool> {
    let Some(tag) = tag else {
        println!("semver     no earlier release to compare with");
        return Ok(true);
    };
    if !wanted.promises_compatibility_with(current) {
        println!("semver     {wanted} may break what {current} promised");
        return Ok(true);
    }
    if cmd!(sh, "cargo semver-checks --version")
        .quiet()
        .ignore_stderr()
        .read()
        .is_err()
    {
        println!(
            "semver     NOT CHECKED against {tag}: `cargo install --locked cargo-semver-checks` first"
        );
        return Ok(false);
    }
    let check = cargo(sh).args(["semver-checks", "--workspace", "--baseline-rev", tag]);
    check.run().with_context(|| {
        format!("{wanted} promises what {tag} did; break it with a version that says so")
    })?;
    Ok(true)
}

/// Every library can be packaged. They are built from their packages when they are published.
fn check_packages(sh: &Shell) -> Result<()> {
    let workspace = Workspace::load(sh)?;
    let libraries: Vec<_> = workspace
        .libraries()
        .map(|library| library.name.as_str())
        .collect();
    let selected = libraries.iter().flat_map(|name| ["-p", name]);
    let package = cargo(sh)
        .args(["package", "--no-verify", "--allow-dirty", "--quiet"])
        .args(selected);
    package.run().context("a crate cannot be packaged")?;
    println!("packages   {}", libraries.join(", "));
    Ok(())
}
