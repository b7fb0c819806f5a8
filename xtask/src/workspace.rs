//! The packages of the workspace, and cargo commands.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;
use xshell::{Cmd, Shell, cmd};

/// The package that re-exports the others, see docs/decisions/0020.
pub(crate) const FACADE: &str = "worker-runtime";

/// Returns the folder of the root manifest.
pub(crate) fn root() -> PathBuf {
    // `cargo run` and `cargo test` set the variable. The value from build time is for a binary that is started directly.
    let manifest =
        std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let root = Path::new(&manifest)
        .parent()
        .expect("the manifest of xtask is below the root");
    root.to_owned()
}

/// Returns a cargo command without the variables that `cargo run` set for this process.
///
/// Build scripts that watch these variables would run again otherwise, and their crates would be rebuilt.
pub(crate) fn cargo(sh: &Shell) -> Cmd<'_> {
    let inherited = std::env::vars_os().map(|(key, _)| key).filter(|key| {
        let key = key.to_string_lossy();
        key == "OUT_DIR" || key.starts_with("CARGO_MANIFEST_") || key.starts_with("CARGO_PKG_")
    });
    inherited.fold(cmd!(sh, "cargo"), |cargo, key| cargo.env_remove(key))
}

/// The packages of the workspace, as `cargo metadata` prints them.
#[derive(Debug, Deserialize)]
pub(crate) struct Workspace {
    pub(crate) packages: Vec<Package>,
    pub(crate) target_directory: PathBuf,
}

/// The features of a package, each with the features and dependencies that it enables.
pub(crate) type Features = BTreeMap<String, Vec<String>>;

/// A member of the workspace.
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    manifest_path: PathBuf,
    description: Option<String>,
    pub(crate) dependencies: Vec<Dependency>,
    pub(crate) features: Features,
    pub(crate) targets: Vec<CargoTarget>,
    /// The registries to publish to; an empty list means `publish = false`.
    publish: Option<Vec<String>>,
}

/// An entry of a dependency table.
#[derive(Debug, Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// `None` for a normal dependency, otherwise `dev` or `build`.
    pub(crate) kind: Option<String>,
    pub(crate) optional: bool,
    pub(crate) features: Vec<String>,
}

/// A library, program, test or bench of a package.
#[derive(Debug, Deserialize)]
pub(crate) struct CargoTarget {
    pub(crate) name: String,
    pub(crate) kind: Vec<String>,
}

impl Workspace {
    /// Runs `cargo metadata`.
    pub(crate) fn load(sh: &Shell) -> Result<Self> {
        let cargo = cargo(sh).args(["metadata", "--no-deps", "--format-version", "1"]);
        let json = cargo.quiet().ignore_stderr().read()?;
        serde_json::from_str(&json).context("cannot parse the output of `cargo metadata`")
    }

    /// Returns the published packages.
    pub(crate) fn libraries(&self) -> impl Iterator<Item = &Package> {
        self.packages
            .iter()
            .filter(|package| package.is_published())
    }

    /// Returns the package with this name.
    pub(crate) fn package(&self, name: &str) -> Result<&Package> {
        let mut packages = self.packages.iter();
        let found = packages.find(|package| package.name == name);
        found.with_context(|| format!("unknown package `{name}`"))
    }
}

impl Package {
    /// Returns the folder, relative to the root. The folder of the facade is not named like its package.
    pub(crate) fn folder(&self) -> String {
        let folder = self.manifest_path.parent().and_then(Path::file_name);
        let name = folder.map_or_else(|| self.name.as_str().into(), |name| name.to_string_lossy());
        format!("crates/{name}")
    }

    /// Returns the one-line description.
    pub(crate) fn description(&self) -> Result<&str> {
        let text = self.description.as_deref();
        text.with_context(|| format!("{} has no description", self.name))
    }

    /// Returns the name of the library in code, which may differ from that of the package.
    pub(crate) fn library_name(&self) -> Result<String> {
        let mut targets = self.targets.iter();
        let library = targets.find(|target| target.kind.iter().any(|kind| kind == "lib"));
        let library = library.with_context(|| format!("{} has no library", self.name))?;
        Ok(library.name.replace('-', "_"))
    }

    fn is_published(&self) -> bool {
        let registries = self.publish.as_ref();
        registries.is_none_or(|registries| !registries.is_empty())
    }

    /// Returns the dependencies that are compiled into programs: neither dev- nor build-dependencies.
    pub(crate) fn normal_dependencies(&self) -> impl Iterator<Item = &Dependency> {
        self.dependencies
            .iter()
            .filter(|dependency| dependency.kind.is_none())
    }
}

/// Returns the features of a package that a list of features enables, directly or through each other.
pub(crate) fn enabled_features<'a>(
    mut pending: Vec<&'a str>,
    features: &'a Features,
) -> BTreeSet<&'a str> {
    let mut enabled = BTreeSet::new();
    while let Some(feature) = pending.pop() {
        // Entries such as `dep:name` and `name/feature` are not features of this package.
        if let Some(more) = features.get(feature).filter(|_| enabled.insert(feature)) {
            pending.extend(more.iter().map(String::as_str));
        }
    }
    enabled
}
