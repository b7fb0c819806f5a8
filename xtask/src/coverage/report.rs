//! The tables: a line for each library, and the files with the most lines that no test runs.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// How many files are listed.
const WORST: usize = 30;

/// Lines with code, and how many of them ran.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
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

/// The tables of what `llvm-cov export --summary-only` says of the sources of libraries below `root`.
pub(super) fn table(export: &Value, root: &Path) -> Result<String> {
    let files = files(export, root)?;
    ensure!(!files.is_empty(), "no source of a library was counted");
    let mut crates: BTreeMap<&str, Lines> = BTreeMap::new();
    let mut total = Lines::default();
    for (path, lines) in &files {
        let name = path.split('/').nth(1).unwrap_or(path);
        for sum in [crates.entry(name).or_default(), &mut total] {
            sum.count += lines.count;
            sum.covered += lines.covered;
        }
    }
    let mut table = "| crate | lines | run by tests |\n| --- | ---: | ---: |\n".to_owned();
    for (name, lines) in crates.into_iter().chain([("all", total)]) {
        table += &format!(
            "| `{name}` | {} | {:.1} % |\n",
            lines.count,
            lines.percent()
        );
    }
    table += "\nThe files with the most lines that no test runs:\n\n| file | not run | run |\n| --- | ---: | ---: |\n";
    let mut worst: Vec<_> = files.iter().collect();
    worst.sort_by_key(|(path, lines)| (std::cmp::Reverse(lines.missed()), *path));
    for (path, lines) in worst.into_iter().take(WORST) {
        table += &format!(
            "| `{path}` | {} | {:.0} % |\n",
            lines.missed(),
            lines.percent()
        );
    }
    Ok(table)
}

/// Sources of libraries, from the root.
fn files(export: &Value, root: &Path) -> Result<BTreeMap<String, Lines>> {
    let files = export["data"][0]["files"]
        .as_array()
        .context("it has no files")?;
    let mut found = BTreeMap::new();
    for file in files {
        let name = file["filename"].as_str().unwrap_or_default();
        let path = Path::new(name)
            .strip_prefix(root)
            .unwrap_or(Path::new(name));
        let path = path.to_string_lossy().replace('\\', "/");
        let number = |field: &str| file["summary"]["lines"][field].as_u64().unwrap_or(0);
        let lines = Lines {
            count: number("count"),
            covered: number("covered"),
        };
        if path.starts_with("crates/") && path.contains("/src/") {
            found.insert(path, lines);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sources_of_libraries_count() {
        let file = |name: &str, count: u64, covered: u64| serde_json::json!({"filename": name, "summary": {"lines": {"count": count, "covered": covered}}});
        let export = serde_json::json!({"data": [{"files": [
            file("/src/crates/a/src/lib.rs", 80, 60),
            file("/src/crates/a/src/b.rs", 20, 20),
            file("/src/crates/a/tests/it.rs", 100, 100),
            file("/src/xtask/src/main.rs", 50, 0),
            file("/elsewhere/serde/src/lib.rs", 50, 0),
        ]}]});
        let table = table(&export, Path::new("/src")).expect("there are files");
        assert!(
            table.contains("| `a` | 100 | 80.0 % |\n| `all` | 100 | 80.0 % |"),
            "{table}"
        );
        assert!(
            table.contains("| `crates/a/src/lib.rs` | 20 | 75 % |"),
            "{table}"
        );
        assert!(!table.contains("serde"), "{table}");
    }
}
