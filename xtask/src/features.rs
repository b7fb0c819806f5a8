//! `cargo xtask features`: each library compiles without warnings with every pair of its features, and alone.
//!
//! cargo-hack builds the combinations. The facade has as many pairs as all other libraries together, and pairs of its
//! features prove nothing new: it has no code, and each of its features enables a library and re-exports it with a line
//! that depends on this feature alone. So the facade is checked with each feature, and pairs with their own library.

use std::time::Instant;

use anyhow::{Result, ensure};
use xshell::Shell;

use crate::by_name;
use crate::standalone;
use crate::tools;
use crate::workspace::{FACADE, Package, Workspace, cargo};

/// Checks the named packages, or all libraries.
pub(crate) fn run(sh: &Shell, names: &[String]) -> Result<()> {
    tools::require_subcommand(sh, "hack")?;
    let workspace = Workspace::load(sh)?;
    let packages: Vec<&Package> = if names.is_empty() {
        workspace.libraries().collect()
    } else {
        by_name::select("package", &workspace.packages, |it| &it.name, names)?
    };
    packages.iter().try_for_each(|it| check(sh, it))?;
    standalone::check(sh, &workspace, &packages)
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
    let hack = cargo(sh).args(["hack", "check", "--quiet", "--lib", "-p", &package.name]);
    let hack = hack.args(combinations).args(excluded);
    // `-D warnings` in RUSTFLAGS would rebuild all dependencies, so warnings are found in the output, without colours.
    let hack = hack.env("CARGO_TERM_COLOR", "never").quiet();
    let rerun = hack.to_string();
    let start = Instant::now();
    let output = hack.ignore_status().output()?;
    let log = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success() && !log.contains("warning:"),
        "{log}\nrerun: `{rerun}`"
    );
    let count = log.matches("info: running").count();
    let seconds = start.elapsed().as_secs_f64();
    println!("{}: {count} combinations, {seconds:.1} s", package.name);
    Ok(())
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
