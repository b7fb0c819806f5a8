//! `cargo xtask features`: each library compiles without warnings with its features, and outside of the workspace.
//!
//! cargo-hack builds the combinations: each feature alone, or every pair of features, which takes several times as long.
//! The facade has no code: each of its lines depends on one feature, which enables the library that the line re-exports. A
//! test checks that. So the facade is compiled without features here, and with all of them by clippy.

use std::time::Instant;

use anyhow::{Result, ensure};
use xshell::Shell;

use crate::by_name;
use crate::standalone;
use crate::tools;
use crate::workspace::{FACADE, Package, Workspace, cargo};

/// Checks the named packages, or all libraries.
pub(crate) fn run(sh: &Shell, names: &[String], with_pairs: bool) -> Result<()> {
    tools::require_subcommand(sh, "hack")?;
    let workspace = Workspace::load(sh)?;
    let packages: Vec<&Package> = if names.is_empty() {
        workspace.libraries().collect()
    } else {
        by_name::select("package", &workspace.packages, |it| &it.name, names)?
    };
    let mut with_code = packages.iter().filter(|it| it.name != FACADE);
    with_code.try_for_each(|it| check(sh, it, with_pairs))?;
    // Without features, the first combination compiles the same code in the workspace.
    if with_pairs || !names.is_empty() {
        standalone::check(sh, &workspace, &packages)?;
    }
    Ok(())
}

fn check(sh: &Shell, package: &Package, with_pairs: bool) -> Result<()> {
    let combinations: &[&str] = if with_pairs {
        &["--feature-powerset", "--depth=2"]
    } else {
        // Clippy checks all features together.
        &["--each-feature", "--exclude-all-features"]
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
    use xshell::Shell;

    use crate::workspace::{FACADE, Workspace};

    #[test]
    fn facade_lines_depend_on_one_feature() {
        let path = crate::workspace::root().join("crates/runtime/src/lib.rs");
        let source = std::fs::read_to_string(path).expect("the facade exists");
        let code = source.split("#[cfg(all(doctest").next().unwrap_or(&source);
        let sh = Shell::new().expect("a shell");
        let workspace = Workspace::load(&sh).expect("the workspace");
        let facade = workspace.libraries().find(|it| it.name == FACADE);
        let features = &facade.expect("the facade").features;
        let mut feature = None;
        let mut reexports = 0;
        for line in code.lines() {
            if let Some(condition) = line.strip_prefix("#[cfg(") {
                let name = condition.strip_prefix("feature = \"");
                let name = name.and_then(|name| name.strip_suffix("\")]"));
                feature = Some(name.unwrap_or_else(|| panic!("not one feature: {line}")));
            } else if let Some(reexport) = line.strip_prefix("pub use runtime_") {
                let library = reexport.split([' ', ':', ';']).next().unwrap_or_default();
                if let Some(feature) = feature.take() {
                    let dependency = format!("dep:runtime-{}", library.replace('_', "-"));
                    assert!(features[feature].contains(&dependency), "{line}");
                    reexports += 1;
                }
            }
        }
        assert!(reexports > 9, "{reexports}");
    }
}
