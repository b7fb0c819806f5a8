//! The book in `docs`: `SUMMARY.md` lists every page, since mdBook omits other pages.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use xshell::{Shell, cmd};

use crate::by_name;
use crate::files::{self, File};
use crate::tools;
use crate::workspace::Workspace;

const SUMMARY: &str = "docs/SUMMARY.md";

/// Fails on a page that the summary does not list. The link check covers listed pages that do not exist.
pub(super) fn check(files: &[File]) -> Result<()> {
    let summary = files::text(files, SUMMARY)?;
    let missing =
        by_name::list(pages(files).filter(|page| !summary.contains(&format!("({page})"))));
    ensure!(missing.is_empty(), "{SUMMARY} does not list {missing}");
    Ok(())
}

/// Returns the pages of the book, relative to its folder.
fn pages(files: &[File]) -> impl Iterator<Item = &str> {
    let pages = files.iter().filter(|file| file.has_extension("md"));
    let pages = pages.filter_map(|file| file.path.strip_prefix("docs/"));
    pages.filter(|page| *page != "SUMMARY.md")
}

/// Builds the book in the target folder and returns its first page; `None` if mdBook is not installed.
pub(super) fn build(sh: &Shell, workspace: &Workspace) -> Result<Option<PathBuf>> {
    if !tools::succeeds(cmd!(sh, "mdbook --version")) {
        println!("mdbook is not installed: the book was checked but not built");
        return Ok(None);
    }
    let folder = workspace.target_directory.join("book");
    cmd!(sh, "mdbook build docs --dest-dir {folder}").run()?;
    Ok(Some(folder.join("index.html")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unlisted_page_is_found() {
        let page = || File::new("docs/guide/a.md", "");
        let summary = File::new(SUMMARY, "- [A](guide/a.md)\n");
        assert!(check(&[summary, page(), File::new("README.md", "")]).is_ok());
        let error = check(&[File::new(SUMMARY, ""), page()]).expect_err("no page is listed");
        assert!(error.to_string().contains("guide/a.md"), "{error}");
    }
}
