//! The book in `docs`: `SUMMARY.md` lists every page, since mdBook leaves out what is not listed.

use anyhow::{Result, ensure};
use xshell::{Shell, cmd};

use crate::tidy::files::File;

const SUMMARY: &str = "docs/SUMMARY.md";

/// Fails on a page that the summary does not list. That what it lists exists is checked with all links.
pub(super) fn check(files: &[File]) -> Result<()> {
    let summary = files.iter().find(|file| file.path == SUMMARY);
    let summary = summary.map_or("", |file| &file.text);
    let missing: Vec<&str> = pages(files)
        .filter(|page| !summary.contains(&format!("({page})")))
        .collect();
    ensure!(
        missing.is_empty(),
        "{SUMMARY} does not list {}",
        missing.join(", ")
    );
    Ok(())
}

/// The Markdown files of the book, from its folder.
fn pages(files: &[File]) -> impl Iterator<Item = &str> {
    let pages = files.iter().filter(|file| file.has_extension("md"));
    let pages = pages.filter_map(|file| file.path.strip_prefix("docs/"));
    pages.filter(|page| *page != "SUMMARY.md")
}

/// Builds the book below `target` where mdBook is installed, and says so where it is not.
pub(super) fn build(sh: &Shell) -> Result<()> {
    if cmd!(sh, "mdbook --version").quiet().read().is_err() {
        println!("mdbook is not installed, so the book was checked and not built");
        return Ok(());
    }
    Ok(cmd!(sh, "mdbook build docs").run()?)
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
    fn a_page_that_is_not_listed_is_found() {
        let summary = file(SUMMARY, "- [A](guide/a.md)\n");
        let files = [summary, file("docs/guide/a.md", ""), file("README.md", "")];
        assert!(check(&files).is_ok());
        let files = [file(SUMMARY, ""), file("docs/guide/a.md", "")];
        let error = check(&files).expect_err("nothing is listed").to_string();
        assert!(error.contains("guide/a.md"), "{error}");
    }
}
