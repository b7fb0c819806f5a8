//! Rust code in the docs compiles: the facade's doctests include every page that has some.

use anyhow::{Result, ensure};

use crate::by_name;
use crate::files::{self, File};

/// The source that includes the pages.
const INCLUDING_SOURCE: &str = "crates/runtime/src/lib.rs";

/// Fails on a page with Rust code that is not included.
pub(super) fn check(files: &[File]) -> Result<()> {
    let source = files::text(files, INCLUDING_SOURCE)?;
    let has_rust = |file: &&File| file.path.starts_with("docs/") && file.text.contains("```rust");
    let pages = files.iter().filter(has_rust).map(|file| file.path.as_str());
    let missing = by_name::list(pages.filter(|path| !source.contains(&format!("../{path}"))));
    ensure!(
        missing.is_empty(),
        "Rust code of {missing} is not compiled; include it at the end of {INCLUDING_SOURCE}"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_with_rust_must_be_included() {
        let check_page = |source: &str, path: &str, text: &str| {
            check(&[File::new(INCLUDING_SOURCE, source), File::new(path, text)])
        };
        let include = "A \"../../../docs/guide/a.md\",\n";
        let rust = "```rust\nfn main() {}\n```\n";
        assert!(check_page(include, "docs/guide/a.md", rust).is_ok());
        assert!(check_page("", "docs/guide/a.md", rust).is_err());
        assert!(check_page("", "docs/guide/b.md", "```sh\n```").is_ok());
    }
}
