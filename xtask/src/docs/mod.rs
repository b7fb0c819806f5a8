//! `cargo xtask docs`: generated pages are current, the book lists every page, and links are valid.

mod book;
mod crate_table;
mod doctests;
mod features;
mod from_go;
mod links;
mod metrics;
mod readme;
mod references;
mod required_features;
mod snippets;

use anyhow::{Result, ensure};
use xshell::Shell;

use crate::by_name;
use crate::docs::snippets::Snippets;
use crate::files;
use crate::workspace::{self, Workspace};

/// A file with its generated content.
struct Generated {
    /// Relative to the root of the repository.
    path: String,
    text: String,
}

/// Compares generated pages with the files, or writes them; then checks the pages.
pub(crate) fn run(sh: &Shell, write: bool) -> Result<()> {
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
    doctests::check(&files)?;
    required_features::check(&files, &workspace)?;
    references::check(&files)?;
    references::check_mentions(&files, &workspace)?;
    links::check(&files)?;
    book::build(sh)
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
