//! `docs/from-go.md`: every name of a row that works is in the code at its end, which the facade's doctests compile.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};

use crate::tidy::files::File;

const PAGE: &str = "docs/from-go.md";
/// What a row that works ends in.
const WORKS: &str = "✓ |";

/// Fails on a name that nobody compiles.
pub(super) fn check(files: &[File]) -> Result<()> {
    let page = files.iter().find(|file| file.path == PAGE);
    let page = &page.with_context(|| format!("there is no {PAGE}"))?.text;
    let (table, code) = page
        .split_once("```rust")
        .with_context(|| format!("{PAGE} has no code with its names"))?;
    let compiled: BTreeSet<&str> = names(code).collect();
    let missing: BTreeSet<&str> = named(table)
        .filter(|name| !compiled.contains(name))
        .collect();
    ensure!(
        missing.is_empty(),
        "the code at the end of {PAGE} lacks {}",
        missing.into_iter().collect::<Vec<_>>().join(", ")
    );
    Ok(())
}

/// The names in the second column of the rows that work.
fn named(table: &str) -> impl Iterator<Item = &str> {
    let rows = table.lines().filter(|line| line.ends_with(WORKS));
    let cells = rows.filter_map(|row| row.split(" | ").nth(1));
    // What stands between backticks is every other part.
    let code = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    code.flat_map(names)
}

fn names(code: &str) -> impl Iterator<Item = &str> {
    let words = code.split(|c: char| !(c.is_alphanumeric() || c == '_'));
    words.filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_rows_that_work_have_to_be_compiled() {
        let page = |code: &str| File {
            path: PAGE.into(),
            text: format!(
                "| Go | Rust | |\n| `A`, `Z` | `a::{{B, c}}`, see [d](d.md) | ✓ |\n| `E` | `gone` | ∅ |\n\n```rust\n{code}\n```\n"
            ),
        };
        assert!(check(&[page("use runtime::a::{B, c};")]).is_ok());
        let error = check(&[page("use runtime::a::B;")]).expect_err("`c` is missing");
        assert!(error.to_string().ends_with("lacks c"), "{error}");
        assert!(check(&[]).is_err());
    }
}
