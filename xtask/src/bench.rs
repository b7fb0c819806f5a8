//! `cargo xtask bench`: finds bench programs by name and runs them, see the package `bench-harness`.

use std::time::Instant;

use anyhow::{Result, bail, ensure};
use xshell::Shell;

use crate::flags;
use crate::workspace::{Workspace, cargo};

/// A bench program and the package that has it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Program {
    pub(crate) name: String,
    package: String,
}

/// Runs the selected programs to the end, then fails if one of them did.
pub(crate) fn run(sh: &Shell, flags: &flags::Bench) -> Result<()> {
    let programs = discover(&Workspace::load(sh)?);
    let selected = select(&programs, &flags.name, flags.all)?;
    let mut failed = Vec::new();
    for program in selected {
        let start = Instant::now();
        if execute(sh, program, flags).is_err() {
            failed.push(program.name.as_str());
        }
        eprintln!(
            "bench {}: {:.1} s",
            program.name,
            start.elapsed().as_secs_f64()
        );
    }
    ensure!(
        failed.is_empty(),
        "missed a bar or did not run: {}",
        failed.join(", ")
    );
    Ok(())
}

/// The bench programs of all packages, by name.
pub(crate) fn discover(workspace: &Workspace) -> Vec<Program> {
    let mut programs = Vec::new();
    for package in &workspace.packages {
        let benches = package
            .targets
            .iter()
            .filter(|target| target.kind.iter().any(|kind| kind == "bench"));
        programs.extend(benches.map(|bench| Program {
            name: bench.name.clone(),
            package: package.name.clone(),
        }));
    }
    programs.sort_by(|a, b| a.name.cmp(&b.name));
    programs
}

fn select<'a>(programs: &'a [Program], names: &[String], all: bool) -> Result<Vec<&'a Program>> {
    if all {
        return Ok(programs.iter().collect());
    }
    let known = programs
        .iter()
        .map(|program| program.name.as_str())
        .collect::<Vec<_>>()
        .join(", ");
    ensure!(
        !names.is_empty(),
        "name benches or say `--all`; there are: {known}"
    );
    let find = |name: &String| match programs.iter().find(|program| program.name == *name) {
        Some(program) => Ok(program),
        None => bail!("no bench `{name}`; there are: {known}"),
    };
    names.iter().map(find).collect()
}

fn execute(sh: &Shell, program: &Program, flags: &flags::Bench) -> Result<()> {
    let command = cargo(sh).args([
        "bench",
        "--quiet",
        "--all-features",
        "-p",
        &program.package,
        "--bench",
        &program.name,
    ]);
    let command = command
        .arg("--")
        .args(flags.quick.then_some("--quick"))
        .args(flags.json.then_some("--json"));
    Ok(command.quiet().run()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn programs() -> Vec<Program> {
        let program = |name: &str| Program {
            name: name.into(),
            package: "p".into(),
        };
        vec![program("gc"), program("log")]
    }

    #[test]
    fn benches_are_found_in_the_targets() {
        let json = serde_json::json!({"packages": [{
            "name": "runtime-gc", "version": "0.1.0", "manifest_path": "crates/runtime-gc/Cargo.toml", "dependencies": [], "features": {},
            "targets": [{"name": "gc", "kind": ["bench"]}, {"name": "runtime_gc", "kind": ["lib"]}],
        }]});
        let workspace = serde_json::from_value(json).expect("the shape of cargo metadata");
        assert_eq!(
            discover(&workspace),
            [Program {
                name: "gc".into(),
                package: "runtime-gc".into()
            }]
        );
    }

    #[test]
    fn without_a_name_the_answer_lists_the_benches() {
        let error = select(&programs(), &[], false).expect_err("nothing is selected");
        assert!(error.to_string().contains("gc, log"), "{error}");
    }

    #[test]
    fn benches_run_in_the_order_they_were_asked_for() {
        let programs = programs();
        let selected =
            select(&programs, &["log".into(), "gc".into()], false).expect("both are known");
        assert_eq!(
            selected
                .iter()
                .map(|program| program.name.as_str())
                .collect::<Vec<_>>(),
            ["log", "gc"]
        );
        assert!(select(&programs, &["cash".into()], false).is_err());
    }
}
