//! `cargo xtask docs`: checks the pages, builds the documentation and prints where it is.
//!
//! Generated pages are current, the book lists every page, links are valid, and names that pages cite exist.

mod book;
mod crate_table;
mod doctests;
pub(crate) mod features;
mod from_go;
mod links;
mod metrics;
pub(crate) mod production;
mod readme;
mod references;
mod required_features;
mod rustdoc;
mod snippets;

use std::path::Path;

use anyhow::{Context, Result, ensure};
use xshell::{Shell, cmd};

use crate::by_name;
use crate::docs::rustdoc::Rustdoc;
use crate::docs::snippets::Snippets;
use crate::files;
use crate::workspace::{self, Workspace};

/// A file with its generated content.
struct Generated {
    /// Relative to the root of the repository.
    path: String,
    text: String,
}

/// Checks the pages, builds the documentation and prints where it is. With `write`, only writes and checks the pages.
pub(crate) fn run(sh: &Shell, write: bool, open: bool) -> Result<()> {
    check(sh, write)?;
    if write {
        return Ok(());
    }
    let workspace = Workspace::load(sh)?;
    let rustdoc = Rustdoc::build(sh, &workspace)?;
    let files = files::load(&workspace::root())?;
    from_go::check_items(&files, |path| rustdoc.contains(path))?;
    let reference = rustdoc.start_page();
    println!("reference: {}", reference.display());
    let book = book::build(sh, &workspace)?;
    if let Some(book) = &book {
        println!("book:      {}", book.display());
    }
    if open {
        [Some(&reference), book.as_ref()]
            .into_iter()
            .flatten()
            .try_for_each(|page| open_in_browser(sh, page))?;
    }
    Ok(())
}

/// Compares generated pages with the files, or writes them; then checks all pages.
pub(crate) fn check(sh: &Shell, write: bool) -> Result<()> {
    let workspace = Workspace::load(sh)?;
    let stale = stale_files(sh, &workspace)?;
    if write {
        for file in &stale {
            sh.write_file(&file.path, &file.text)?;
            println!("{}: written", file.path);
        }
    } else {
        let paths = by_name::list(stale.iter().map(|file| file.path.as_str()));
        ensure!(
            stale.is_empty(),
            "outdated: {paths}; run `cargo xtask docs --write`"
        );
    }
    // Loaded here because `--write` changes files.
    let files = files::load(&workspace::root())?;
    book::check(&files)?;
    from_go::check(&files)?;
    production::check(&files)?;
    doctests::check(&files)?;
    required_features::check(&files, &workspace)?;
    references::check(&files)?;
    references::check_mentions(&files, &workspace)?;
    links::check(&files)
}

fn open_in_browser(sh: &Shell, page: &Path) -> Result<()> {
    let open = if cfg!(windows) {
        cmd!(sh, "cmd /c start")
    } else if cfg!(target_os = "macos") {
        cmd!(sh, "open")
    } else {
        cmd!(sh, "xdg-open")
    };
    let opened = open.arg(page).quiet().run();
    opened.with_context(|| format!("cannot open {} in a browser", page.display()))
}

/// Generates all pages and returns those that differ from their files.
fn stale_files(sh: &Shell, workspace: &Workspace) -> Result<Vec<Generated>> {
    let files = files::load(&workspace::root())?;
    let snippets = Snippets::new(workspace);
    let mut generated = snippets.generate(&files)?;
    generated.push(crate_table::generate(sh, workspace, &snippets)?);
    generated.push(metrics::generate(&files)?);
    for library in workspace.libraries() {
        generated.push(readme::generate(sh, library, &snippets)?);
    }
    let is_stale = |file: &Generated| {
        let text = sh.read_file(&file.path);
        // Git on Windows may check out files with other line ends.
        text.map_or(true, |text| text.replace("\r\n", "\n") != file.text)
    };
    Ok(generated.into_iter().filter(is_stale).collect())
}
