//! `cargo xtask coverage`: the lines of the libraries that the tests run, as cargo-llvm-cov measures them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use xshell::{Cmd, Shell, cmd};

use crate::generated_part::{GeneratedPart, today};
use crate::tools;
use crate::workspace::cargo;

const TABLES: GeneratedPart<'_> = GeneratedPart {
    page: "docs/coverage.md",
    name: "coverage",
};

/// The number of files in the second table.
const MAX_FILES: usize = 30;

/// Runs the tests, prints the tables, and writes them to the docs if requested.
pub(crate) fn run(sh: &Shell, write: bool) -> Result<()> {
    tools::require_subcommand(sh, "llvm-cov")?;
    // Doctests are left out: only a nightly compiler counts them.
    let targets = ["--lib", "--bins", "--tests", "--examples"];
    let tests = llvm_cov(sh)?.args(["--workspace", "--all-features", "--no-fail-fast"]);
    let passed = tests.args(targets).arg("--no-report").run();
    let report = llvm_cov(sh)?.args(["report", "--json", "--summary-only"]);
    let report = report.quiet().read()?;
    let report = serde_json::from_str(&report).context("cannot parse the output of llvm-cov")?;
    let tables = tables(&report, &sh.current_dir())?;
    println!("\n{tables}");
    if write {
        TABLES.write(sh, &format!("Linux, {}.\n\n{tables}", today(sh)?))?;
    }
    // The tables are printed first: tests that failed count too.
    passed.context("a test failed")
}

fn llvm_cov(sh: &Shell) -> Result<Cmd<'_>> {
    // At most eight files per program. The default is one per process, which would be thousands.
    let command = cargo(sh)
        .arg("llvm-cov")
        .env("LLVM_PROFILE_FILE_NAME", "tests-%8m.profraw");
    let Some(tools) = packaged_tools(sh)? else {
        return Ok(command);
    };
    Ok(command
        .env("LLVM_COV", tools.join("llvm-cov"))
        .env("LLVM_PROFDATA", tools.join("llvm-profdata")))
}

/// Returns the folder of LLVM's tools from a package of Debian, if there is a version that fits the compiler.
///
/// cargo-llvm-cov itself looks only for rustup's component `llvm-tools`. The tools read profiles of older versions, so
/// they must be as new as the compiler's LLVM or newer.
fn packaged_tools(sh: &Shell) -> Result<Option<PathBuf>> {
    let version = cmd!(sh, "rustc -vV").quiet().read()?;
    let major = llvm_major(&version).context("`rustc -vV` prints no LLVM version")?;
    let mut folders = (major..major + 5).map(|major| format!("/usr/lib/llvm-{major}/bin").into());
    Ok(folders.find(|folder: &PathBuf| folder.join("llvm-profdata").exists()))
}

fn llvm_major(version: &str) -> Option<u32> {
    let (_, version) = version.split_once("LLVM version: ")?;
    version.split('.').next()?.parse().ok()
}

/// The number of code lines, and how many of them ran.
#[derive(Clone, Copy, Default)]
struct Lines {
    count: u64,
    covered: u64,
}

impl Lines {
    fn missed(self) -> u64 {
        self.count - self.covered
    }

    fn percent(self) -> f64 {
        100.0 * self.covered as f64 / self.count.max(1) as f64
    }
}

/// Returns a table of the libraries, and a table of the files with the most lines that no test runs.
fn tables(report: &Value, root: &Path) -> Result<String> {
    let files = library_files(report, root)?;
    ensure!(!files.is_empty(), "the report has no sources of libraries");
    let mut crates: BTreeMap<&str, Lines> = BTreeMap::new();
    let mut total = Lines::default();
    for (path, lines) in &files {
        let name = path.split('/').nth(1).unwrap_or(path);
        for sum in [crates.entry(name).or_default(), &mut total] {
            sum.count += lines.count;
            sum.covered += lines.covered;
        }
    }
    let mut text = "| crate | lines | covered |\n| --- | ---: | ---: |\n".to_owned();
    for (name, lines) in crates.into_iter().chain([("all", total)]) {
        text += &format!(
            "| `{name}` | {} | {:.1} % |\n",
            lines.count,
            lines.percent()
        );
    }
    text += "\nThe files with the most uncovered lines:\n\n| file | uncovered lines | covered |\n| --- | ---: | ---: |\n";
    let mut files: Vec<_> = files.into_iter().collect();
    files.sort_by_key(|(_, lines)| std::cmp::Reverse(lines.missed()));
    for (path, lines) in files.into_iter().take(MAX_FILES) {
        text += &format!(
            "| `{path}` | {} | {:.0} % |\n",
            lines.missed(),
            lines.percent()
        );
    }
    Ok(text)
}

/// Returns the sources of libraries in a report of `llvm-cov export --summary-only`, with paths relative to the root.
fn library_files(report: &Value, root: &Path) -> Result<BTreeMap<String, Lines>> {
    let files = report["data"][0]["files"].as_array();
    let mut found = BTreeMap::new();
    for file in files.context("the report has no files")? {
        let name = Path::new(file["filename"].as_str().unwrap_or_default());
        let path = name.strip_prefix(root).unwrap_or(name).to_string_lossy();
        let path = path.replace('\\', "/");
        let number = |field: &str| file["summary"]["lines"][field].as_u64().unwrap_or(0);
        let (count, covered) = (number("count"), number("covered"));
        if path.starts_with("crates/") && path.contains("/src/") {
            found.insert(path, Lines { count, covered });
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_library_sources_count() {
        let file = |name: &str, count: u64, covered: u64| serde_json::json!({"filename": name, "summary": {"lines": {"count": count, "covered": covered}}});
        let report = serde_json::json!({"data": [{"files": [
            file("/src/crates/a/src/lib.rs", 80, 60),
            file("/src/crates/a/src/b.rs", 20, 20),
            file("/src/crates/a/tests/it.rs", 100, 100),
            file("/src/xtask/src/main.rs", 50, 0),
            file("/elsewhere/serde/src/lib.rs", 50, 0),
        ]}]});
        let text = tables(&report, Path::new("/src")).expect("sources of a library");
        for row in [
            "| `a` | 100 | 80.0 % |\n| `all` | 100 | 80.0 % |",
            "| `crates/a/src/lib.rs` | 20 | 75 % |",
        ] {
            assert!(text.contains(row), "{text}");
        }
        assert!(!text.contains("serde"), "{text}");
    }

    #[test]
    fn llvm_version_differs_from_compiler_version() {
        let version = "rustc 1.95.0\nrelease: 1.95.0\nLLVM version: 22.1.2\n";
        assert_eq!(llvm_major(version), Some(22));
        assert_eq!(llvm_major("rustc 1.95.0\n"), None);
    }
}
