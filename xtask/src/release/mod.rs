//! `cargo xtask release VERSION`: shows the steps of a release; with `--execute` it commits and tags the version.
//!
//! A tag on main triggers `.github/workflows/release.yml`, which publishes. So developers need no registry token.

pub(crate) mod archive;
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
/// The host of the repository until its owner sets it, see CONTRIBUTING.md.
const PLACEHOLDER: &str = "\nrepository = \"https://example.org/";

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
    for warning in warnings(&manifest, current, new, tag.as_deref()) {
        println!("WARNING    {warning}");
    }
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
    docs::check(sh, true)?;
    let name = format!("v{new}");
    cmd!(sh, "git commit --all --message {name}").run()?;
    cmd!(sh, "git tag --annotate {name} --message {name}").run()?;
    println!("\nrun `git push --follow-tags` to publish");
    Ok(())
}

/// Returns reasons against a release that a developer may have overlooked.
fn warnings(manifest: &str, current: Version, new: Version, tag: Option<&str>) -> Vec<String> {
    let mut warnings = Vec::new();
    if new != current && tag != Some(&format!("v{current}")) {
        warnings.push(format!(
            "{current} was never tagged; `cargo xtask release {current}` releases it first"
        ));
    }
    if manifest.contains(PLACEHOLDER) {
        warnings.push(format!("`repository` in {MANIFEST} is a placeholder"));
    }
    warnings
}

/// Returns the newest tag of a release.
fn last_tag(sh: &Shell) -> Result<Option<String>> {
    let tags = cmd!(sh, "git tag --list v* --sort=-version:refname");
    Ok(tags.quiet().read()?.lines().next().map(str::to_owned))
}

fn ensure_releasable(sh: &Shell) -> Result<()> {
    ensure!(
        !sh.read_file(MANIFEST)?.contains(PLACEHOLDER),
        "`repository` in {MANIFEST} is a placeholder; set the URL of the repository, see CONTRIBUTING.md"
    );
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

#[cfg(test)]
mod tests {
    use super::*;

    fn warnings_of(new: &str, tag: Option<&str>, repository: &str) -> String {
        let manifest = format!("[workspace.package]\nrepository = \"{repository}\"\n");
        let version = |text: &str| text.parse().expect("three numbers");
        warnings(&manifest, version("0.1.0"), version(new), tag).join("\n")
    }

    #[test]
    fn untagged_current_version_is_a_warning() {
        let url = "https://git.example.com/worker-runtime";
        let found = warnings_of("0.2.0", None, url);
        assert!(found.starts_with("0.1.0 was never tagged"), "{found}");
        assert_eq!(warnings_of("0.2.0", Some("v0.1.0"), url), "");
        assert_eq!(warnings_of("0.1.0", None, url), "");
    }

    #[test]
    fn placeholder_repository_is_a_warning() {
        let found = warnings_of("0.1.0", None, "https://example.org/a");
        assert!(found.contains("placeholder"), "{found}");
    }
}
