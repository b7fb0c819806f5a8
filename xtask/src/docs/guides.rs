//! Rust in the docs compiles: the facade's doctests take each page that has some.

use anyhow::{Result, ensure};

use crate::tidy::files::File;

/// The source that names the pages to compile.
const COMPILED: &str = "crates/runtime/src/lib.rs";

/// Fails on a page with Rust that nobody compiles.
pub(super) fn check(files: &[File]) -> Result<()> {
    let compiled = files.iter().find(|file| file.path == COMPILED);
    let compiled = compiled.map_or("", |file| &file.text);
    let guides = files
        .iter()
        .filter(|file| file.path.starts_with("docs/") && file.text.contains("```rust"));
    let missing: Vec<&str> = guides
        .map(|file| file.path.as_str())
        .filter(|path| !compiled.contains(&format!("../{path}")))
        .collect();
    ensure!(
        missing.is_empty(),
        "nothing compiles the Rust in {}; name it at the end of {COMPILED}",
        missing.join(", ")
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> File {
        File {
            path: path.into(),
            text: text.into(),
        }
    }

    #[test]
    fn a_guide_with_rust_has_to_be_compiled_and_one_without_has_not() {
        let guide = || file("docs/guide/a.md", "```rust\nfn main() {}\n```\n");
        let lib = file(COMPILED, "A \"../../../docs/guide/a.md\",\n");
        assert!(check(&[lib, guide()]).is_ok());
        assert!(check(&[file(COMPILED, ""), guide()]).is_err());
        assert!(check(&[file(COMPILED, ""), file("docs/guide/b.md", "```sh\n```")]).is_ok());
    }
}
