//! What the tasks know about the workspace, and how they call cargo.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;
use xshell::{Cmd, Shell, cmd};

/// The folder of the root manifest.
pub(crate) fn root() -> PathBuf {
    // `cargo run` and `cargo test` tell; the path from build time serves a binary that is started alone.
    let manifest =
        std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let root = Path::new(&manifest)
        .parent()
        .expect("the manifest of xtask is below the root");
    root.to_owned()
}

/// Begins a cargo command in which nothing is left of the `cargo run` that started this program.
///
/// Build scripts that watch such variables would otherwise run again, and their crates with them.
pub(crate) fn cargo(sh: &Shell) -> Cmd<'_> {
    let inherited = std::env::vars_os().map(|(key, _)| key).filter(|key| {
        let key = key.to_string_lossy();
        key == "OUT_DIR" || key.starts_with("CARGO_MANIFEST_") || key.starts_with("CARGO_PKG_")
    });
    inherited.fold(cmd!(sh, "cargo"), |cargo, key| cargo.env_remove(key))
}

/// The package that re-exports the others, see docs/decisions/0020.
pub(crate) const FACADE: &str = "worker-runtime";

/// The packages of the workspace, as `cargo metadata` tells them.
#[derive(Debug, Deserialize)]
pub(crate) struct Workspace {
    pub(crate) packages: Vec<Package>,
}

/// The features of a package, and what each turns on.
pub(crate) type Features = BTreeMap<String, Vec<String>>;

/// One member of the workspace.
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    manifest_path: PathBuf,
    description: Option<String>,
    pub(crate) dependencies: Vec<Dependency>,
    pub(crate) features: Features,
    pub(crate) targets: Vec<Target>,
    /// `Some` of nothing means `publish = false`.
    publish: Option<Vec<String>>,
}

/// An entry of one of a package's dependency tables.
#[derive(Debug, Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// `None` for a normal dependency, else `dev` or `build`.
    pub(crate) kind: Option<String>,
    pub(crate) optional: bool,
    pub(crate) features: Vec<String>,
}

/// Something cargo builds of a package.
#[derive(Debug, Deserialize)]
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) kind: Vec<String>,
}

impl Workspace {
    /// Asks cargo.
    pub(crate) fn load(sh: &Shell) -> Result<Self> {
        let cargo = cargo(sh).args(["metadata", "--no-deps", "--format-version", "1"]);
        let json = cargo.quiet().ignore_stderr().read()?;
        serde_json::from_str(&json).context("cannot read the answer of `cargo metadata`")
    }

    /// The packages that are published, by name.
    pub(crate) fn libraries(&self) -> impl Iterator<Item = &Package> {
        self.packages
            .iter()
            .filter(|package| package.is_published())
    }
}

impl Package {
    /// Its folder, from the root of the repository. The facade's has another name than the package.
    pub(crate) fn folder(&self) -> String {
        let folder = self.manifest_path.parent().and_then(Path::file_name);
        let name = folder.map_or_else(|| self.name.as_str().into(), |name| name.to_string_lossy());
        format!("crates/{name}")
    }

    /// What it is for, in a line.
    pub(crate) fn description(&self) -> Result<&str> {
        let text = self.description.as_deref();
        text.with_context(|| format!("{} has no description", self.name))
    }

    /// Says whether users can depend on this package.
    pub(crate) fn is_published(&self) -> bool {
        self.publish
            .as_ref()
            .is_none_or(|registries| !registries.is_empty())
    }

    /// What is compiled into a user's program: neither dev- nor build-dependencies.
    pub(crate) fn normal_dependencies(&self) -> impl Iterator<Item = &Dependency> {
        self.dependencies
            .iter()
            .filter(|dependency| dependency.kind.is_none())
    }
}
