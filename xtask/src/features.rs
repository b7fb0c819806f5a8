//! `cargo xtask features`: each library compiles without warnings with every pair of its features.
//!
//! cargo-hack builds the combinations. The facade has as many pairs as all other libraries together, and pairs of its
//! features prove nothing new: it has no code, and each of its features enables a library and re-exports it with a line
//! that depends on this feature alone. So the facade is checked with each feature, and pairs with their own library.

use anyhow::Result;
use xshell::Shell;

use crate::by_name;
use crate::tools;
use crate::workspace::{FACADE, Package, Workspace, cargo};

/// Checks the named packages, or all libraries.
pub(crate) fn run(sh: &Shell, names: &[String]) -> Result<()> {
    tools::require_subcommand(sh, "hack")?;
    let workspace = Workspace::load(sh)?;
    let packages = if names.is_empty() {
        workspace.libraries().collect()
    } else {
        by_name::select("package", &workspace.packages, |it| &it.name, names)?
    };
    packages.into_iter().try_for_each(|it| check(sh, it))
}

fn check(sh: &Shell, package: &Package) -> Result<()> {
    let combinations: &[&str] = if package.name == FACADE {
        &["--each-feature"]
    } else {
        &["--feature-powerset", "--depth=2"]
    };
    // `default` is empty, and cargo-hack warns about excluded features that do not exist.
    let has_default = package.features.contains_key("default");
    let excluded = has_default.then_some("--exclude-features=default");
    // `cargo check` cannot fail on warnings without RUSTFLAGS, which would rebuild all dependencies; clippy can.
    let hack = cargo(sh).args(["hack", "clippy", "--quiet", "--lib", "-p", &package.name]);
    let hack = hack
        .args(combinations)
        .args(excluded)
        .args(["--", "-D", "warnings"]);
    Ok(hack.run()?)
}

#[cfg(test)]
mod tests {
    #[test]
    fn facade_lines_depend_on_one_feature() {
        let path = crate::workspace::root().join("crates/runtime/src/lib.rs");
        let source = std::fs::read_to_string(path).expect("the facade exists");
        let code = source.split("#[cfg(all(doctest").next().unwrap_or(&source);
        let lines: Vec<&str> = code
            .lines()
            .filter(|line| line.starts_with("#[cfg("))
            .collect();
        assert!(lines.len() > 9, "{lines:?}");
        for line in lines {
            let is_single =
                line.starts_with("#[cfg(feature = \"") && line.matches('"').count() == 2;
            assert!(is_single, "{line}");
        }
    }
}
