//! `docs/from-go.md`: the code at its end, a doctest of the facade, has every name of the rows marked as working.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};

use crate::by_name;
use crate::files::{self, File};

const PAGE: &str = "docs/from-go.md";
/// The end of a row that works.
const WORKING_ROW_END: &str = "✓ |";

/// Fails on a name that the code does not use.
pub(super) fn check(files: &[File]) -> Result<()> {
    let (table, code) = files::text(files, PAGE)?
        .split_once("```rust")
        .with_context(|| format!("{PAGE} has no Rust code"))?;
    let compiled: BTreeSet<&str> = identifiers(code).collect();
    let missing: BTreeSet<&str> = table_names(table)
        .filter(|name| !compiled.contains(name))
        .collect();
    let missing = by_name::list(missing.into_iter());
    ensure!(missing.is_empty(), "the code of {PAGE} lacks {missing}");
    Ok(())
}

/// Returns the names in the second column of the rows that work.
fn table_names(table: &str) -> impl Iterator<Item = &str> {
    let rows = table.lines().filter(|line| line.ends_with(WORKING_ROW_END));
    let cells = rows.filter_map(|row| row.split(" | ").nth(1));
    cells.flat_map(files::code_spans).flat_map(identifiers)
}

fn identifiers(code: &str) -> impl Iterator<Item = &str> {
    let words = code.split(|c: char| !(c.is_alphanumeric() || c == '_'));
    words.filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_working_rows_are_required() {
        let table = "| Go | Rust | |\n| `A`, `Z` | `a::{B, c}`, see [d](d.md) | ✓ |\n| `E` | `removed` | ∅ |\n";
        let page = |code: &str| [File::new(PAGE, format!("{table}\n```rust\n{code}\n```\n"))];
        assert!(check(&page("use runtime::a::{B, c};")).is_ok());
        let error = check(&page("use runtime::a::B;")).expect_err("`c` is missing");
        assert!(error.to_string().ends_with("lacks c"), "{error}");
        assert!(check(&[]).is_err());
    }
}
