//! `cargo xtask release VERSION`: shows the steps of a release; with `--execute` it commits and tags the version.
//!
//! A tag on main triggers `.github/workflows/release.yml`, which publishes. So developers need no registry token.

mod changelog;
mod version;

use anyhow::{Context, Result, ensure};
use xshell::{Shell, cmd};

use crate::docs;
use crate::generated_part::today;
use crate::release::version::Version;
use crate::tools;
use crate::workspace::{Workspace, cargo};

const MANIFEST: &str = "Cargo.toml";
const CHANGELOG: &str = "CHANGELOG.md";

/// Checks that a version can be released, and releases it if requested.
pub(crate) fn run(sh: &Shell, version: &str, execute: bool) -> Result<()> {
    let new: Version = version.parse()?;
    let manifest = sh.read_file(MANIFEST)?;
    let current = version::current(&manifest)?;
    let tag = last_tag(sh)?;
    // The first release may have the version that is already in the manifest.
    ensure!(
        new > current || (new == current && tag.is_none()),
        "{new} is not newer than {current}, the version in {MANIFEST}"
    );
    let manifest = version::bump(&manifest, current, new);
    let changelog = changelog::release(&sh.read_file(CHANGELOG)?, &new.to_string(), &today(sh)?)?;

    println!("version    {current} -> {new}, in {MANIFEST}");
    println!("changelog  {} entries for {new}", changelog.entries);
    let compatible = check_compatibility(sh, tag.as_deref(), current, new)?;
    check_packages(sh)?;
    println!("tag        v{new}");
    if !execute {
        println!("\nnothing was changed; `--execute` commits and tags the release");
        return Ok(());
    }
    if !compatible {
        tools::require_subcommand(sh, "semver-checks")?;
    }
    // All checks precede the first change, so a rejected release leaves the checkout as it was.
    ensure_releasable(sh)?;
    sh.write_file(MANIFEST, manifest)?;
    sh.write_file(CHANGELOG, changelog.text)?;
    // Also updates Cargo.lock, since it runs `cargo metadata`.
    docs::run(sh, true)?;
    let name = format!("v{new}");
    cmd!(sh, "git commit --all --message {name}").run()?;
    cmd!(sh, "git tag --annotate {name} --message {name}").run()?;
    println!("\nrun `git push --follow-tags` to publish");
    Ok(())
}

/// Returns the newest tag of a release.
fn last_tag(sh: &Shell) -> Result<Option<String>> {
    let tags = cmd!(sh, "git tag --list v* --sort=-version:refname");
    Ok(tags.quiet().read()?.lines().next().map(str::to_owned))
}

fn ensure_releasable(sh: &Shell) -> Result<()> {
    let branch = cmd!(sh, "git branch --show-current").quiet().read()?;
    ensure!(
        branch == "main",
        "the current branch is `{branch}`; releases are made on main"
    );
    let changed = cmd!(sh, "git status --porcelain").quiet().read()?;
    ensure!(changed.is_empty(), "uncommitted changes:\n{changed}");
    Ok(())
}

/// Checks a version that promises compatibility with the last release; returns `false` if the tool is missing.
fn check_compatibility(
    sh: &Shell,
    tag: Option<&str>,
    current: Version,
    new: Version,
) -> Result<bool> {
    let Some(tag) = tag else {
        println!("semver     no earlier release");
        return Ok(true);
    };
    if !new.is_compatible_with(current) {
        println!("semver     not checked: {new} allows breaking changes since {current}");
        return Ok(true);
    }
    if !tools::has_subcommand(sh, "semver-checks") {
        println!("semver     NOT CHECKED against {tag}: cargo-semver-checks is not installed");
        return Ok(false);
    }
    let check = cargo(sh).args(["semver-checks", "--workspace", "--baseline-rev", tag]);
    check
        .run()
        .with_context(|| format!("{new} must be compatible with {tag}; choose a later version"))?;
    Ok(true)
}

/// Packages every library, without building the packages: `cargo publish` does.
fn check_packages(sh: &Shell) -> Result<()> {
    let workspace = Workspace::load(sh)?;
    let libraries = workspace.libraries();
    let libraries: Vec<&str> = libraries.map(|library| library.name.as_str()).collect();
    let selected = libraries.iter().flat_map(|name| ["-p", name]);
    let package = cargo(sh).args(["package", "--no-verify", "--allow-dirty", "--quiet"]);
    let package = package.args(selected);
    package.run().context("a crate cannot be packaged")?;
    println!("packages   {}", libraries.join(", "));
    Ok(())
}
