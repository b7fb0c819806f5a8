//! `cargo xtask bench`: runs benchmarks by name, see the package `bench-harness`.

use std::time::Instant;

use anyhow::{Result, bail, ensure};
use xshell::Shell;

use crate::bench_table;
use crate::by_name;
use crate::flags;
use crate::workspace::{Workspace, cargo};

const IMAGES_DIR: &str = "docs/images";

/// A bench target and its package.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Benchmark {
    pub(crate) name: String,
    package: String,
}

/// Runs all selected benchmarks, then fails if one of them failed.
pub(crate) fn run(sh: &Shell, flags: &flags::Bench) -> Result<()> {
    let benchmarks = discover(&Workspace::load(sh)?);
    let mut failed = Vec::new();
    for benchmark in select(&benchmarks, &flags.name, flags.all)? {
        let start = Instant::now();
        if execute(sh, benchmark, flags).is_err() {
            failed.push(benchmark.name.as_str());
        }
        let seconds = start.elapsed().as_secs_f64();
        eprintln!("bench {}: {seconds:.1} s", benchmark.name);
    }
    ensure!(
        failed.is_empty(),
        "missed a bar or did not run: {}",
        failed.join(", ")
    );
    Ok(())
}

/// Returns the benchmarks of all packages, sorted by name.
pub(crate) fn discover(workspace: &Workspace) -> Vec<Benchmark> {
    let mut benchmarks = Vec::new();
    for package in &workspace.packages {
        let is_bench = |kinds: &[String]| kinds.iter().any(|kind| kind == "bench");
        for target in package.targets.iter().filter(|it| is_bench(&it.kind)) {
            benchmarks.push(Benchmark {
                name: target.name.clone(),
                package: package.name.clone(),
            });
        }
    }
    benchmarks.sort_by(|a, b| a.name.cmp(&b.name));
    benchmarks
}

fn select<'a>(all: &'a [Benchmark], names: &[String], run_all: bool) -> Result<Vec<&'a Benchmark>> {
    if run_all {
        return Ok(all.iter().collect());
    }
    if names.is_empty() {
        let known = by_name::list(all.iter().map(|benchmark| benchmark.name.as_str()));
        bail!("no benchmark selected; pass `--all` or some of: {known}");
    }
    by_name::select("benchmark", all, |benchmark| &benchmark.name, names)
}

fn execute(sh: &Shell, benchmark: &Benchmark, flags: &flags::Bench) -> Result<()> {
    let Benchmark { name, package } = benchmark;
    let bench = cargo(sh).args(["bench", "--quiet", "--all-features"]);
    let bench = bench.args(["-p", package, "--bench", name, "--"]);
    let bench = bench.args(flags.quick.then_some("--quick")).quiet();
    if !flags.write {
        return Ok(bench.args(flags.json.then_some("--json")).run()?);
    }
    let load = bench_table::load()?;
    // A missed bar is reported after its table was written.
    let output = bench.arg("--json").ignore_status().output()?;
    let results = String::from_utf8(output.stdout)?;
    print!("{results}");
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    bench_table::write(sh, name, flags.quick, load, &results)?;
    let plots = cargo(sh).args(["run", "--quiet", "--package", "plots", "--", IMAGES_DIR]);
    plots.stdin(&results).quiet().run()?;
    ensure!(output.status.success(), "{name}: {}", output.status);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn benchmark(name: &str) -> Benchmark {
        Benchmark {
            name: name.into(),
            package: "runtime-gc".into(),
        }
    }

    #[test]
    fn only_bench_targets_are_benchmarks() {
        let json = serde_json::json!({"target_directory": "target", "packages": [{
            "name": "runtime-gc", "version": "0.1.0", "manifest_path": "crates/runtime-gc/Cargo.toml", "dependencies": [], "features": {},
            "targets": [{"name": "gc", "kind": ["bench"]}, {"name": "runtime_gc", "kind": ["lib"]}],
        }]});
        let workspace = serde_json::from_value(json).expect("the format of cargo metadata");
        assert_eq!(discover(&workspace), [benchmark("gc")]);
    }

    #[test]
    fn no_selection_lists_the_benchmarks() {
        let all = [benchmark("gc"), benchmark("log")];
        let error = select(&all, &[], false).expect_err("nothing selected");
        assert!(error.to_string().contains("gc, log"), "{error}");
        assert_eq!(select(&all, &[], true).expect("all").len(), 2);
    }
}
