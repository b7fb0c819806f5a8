//! `docs/from-go.md`: every row names Rust items and tests that exist, and its verdict.

use anyhow::{Result, ensure};

use crate::docs::references;
use crate::files::{self, File};

const PAGE: &str = "docs/from-go.md";

/// Fails on a row that is incomplete or names an unknown test.
pub(super) fn check(files: &[File]) -> Result<()> {
    let functions = references::functions(files);
    let is_test = |name: &str| functions.contains(name);
    expect_no_problem(files, |row| row.problem(is_test))
}

/// Fails on a row that names an unknown item.
pub(super) fn check_items(files: &[File], is_item: impl Fn(&str) -> bool) -> Result<()> {
    expect_no_problem(files, |row| unknown_name("item", row.items, &is_item))
}

fn expect_no_problem(files: &[File], problem: impl Fn(&Row<'_>) -> Option<String>) -> Result<()> {
    let page = files::text(files, PAGE)?;
    let rows: Vec<&str> = page
        .lines()
        .filter(|line| line.starts_with("| `"))
        .collect();
    ensure!(!rows.is_empty(), "{PAGE} has no rows");
    let problems = rows.into_iter().filter_map(|line| {
        let problem = match Row::parse(line) {
            Some(row) => problem(&row)?,
            None => "expected four cells".to_owned(),
        };
        Some(format!("{problem}: {line}"))
    });
    let problems: Vec<String> = problems.collect();
    ensure!(problems.is_empty(), "{PAGE}:\n{}", problems.join("\n"));
    Ok(())
}

/// The cells of a row after the Go name.
struct Row<'a> {
    items: &'a str,
    verdict: &'a str,
    tests: &'a str,
}

impl<'a> Row<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let ["", _, items, verdict, tests, ""] = cells[..] else {
            return None;
        };
        Some(Self {
            items,
            verdict,
            tests,
        })
    }

    fn problem(&self, is_test: impl Fn(&str) -> bool) -> Option<String> {
        if self.verdict.starts_with("gone: ") {
            return None;
        }
        if self.verdict != "same" && !self.verdict.starts_with("differs: ") {
            return Some("expected `same`, `differs: ..` or `gone: ..`".to_owned());
        }
        if !self.items.contains('`') {
            return Some("no Rust item".to_owned());
        }
        // A statement about types has no test: code that breaks it does not compile.
        if !self.tests.contains('`') && self.tests != "the compiler" {
            return Some("no test".to_owned());
        }
        unknown_name("test", self.tests, is_test)
    }
}

fn unknown_name(kind: &str, cell: &str, is_known: impl Fn(&str) -> bool) -> Option<String> {
    let mut names = files::code_spans(cell);
    let unknown = names.find(|name| !is_known(name))?;
    Some(format!("unknown {kind} `{unknown}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_row(row: &str) -> Result<()> {
        let page = format!("| Go | Rust | compared | test |\n| --- | --- | --- | --- |\n{row}\n");
        let files = [
            File::new(PAGE, page),
            File::new("crates/a/tests/it/b.rs", "fn b_is_a() {}\n"),
        ];
        check(&files)?;
        check_items(&files, |path| path == "a::B")
    }

    #[track_caller]
    fn expect_problem(row: &str, problem: &str) {
        let error = check_row(row).expect_err(problem).to_string();
        assert!(error.contains(problem), "{error}");
    }

    #[test]
    fn complete_rows_are_accepted() {
        for row in [
            "| `B` | `a::B` | same | `b_is_a` |",
            "| `B` | `a::B` | same | the compiler |",
            "| `B` | `a::B` | differs: it returns a value | `b_is_a` |",
            "| `B` | | gone: tokio has it | |",
        ] {
            assert!(check_row(row).is_ok(), "{row}");
        }
    }

    #[test]
    fn incomplete_rows_are_found() {
        expect_problem("| `B` | `a::B` | same |", "four cells");
        expect_problem("| `B` | `a::B` | ✓ | `b_is_a` |", "expected `same`");
        expect_problem("| `B` | | same | `b_is_a` |", "no Rust item");
        expect_problem("| `B` | `a::B` | same | |", "no test");
        expect_problem("", "no rows");
    }

    #[test]
    fn unknown_names_are_found() {
        expect_problem("| `B` | `a::C` | same | `b_is_a` |", "unknown item `a::C`");
        expect_problem(
            "| `B` | `a::B` | same | `b_is_c` |",
            "unknown test `b_is_c`",
        );
    }
}
