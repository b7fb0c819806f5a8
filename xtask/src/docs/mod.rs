//! `cargo xtask docs`: what is generated is fresh, the book lists every page, and links lead somewhere.

mod book;
mod features;
mod from_go;
mod guides;
mod links;
mod metrics;
mod names;
mod parts;
mod readme;
mod snippets;
pub(crate) mod table;

use anyhow::{Result, ensure};
use xshell::Shell;

use self::snippets::Snippets;
use crate::tidy::files;
use crate::workspace::{self, Workspace};

/// A file as it should be.
struct Generated {
    /// From the root of the repository.
    path: String,
    text: String,
}

/// Compares what is generated with what is there, or writes it; then checks what people wrote.
pub(crate) fn run(sh: &Shell, write: bool) -> Result<()> {
    let workspace = Workspace::load(sh)?;
    let files = files::load(&workspace::root())?;
    let snippets = Snippets::new(&workspace);
    let mut generated = snippets.generate(&files)?;
    generated.push(table::generate(sh, &workspace, &snippets)?);
    generated.push(metrics::generate(&files)?);
    for library in workspace.libraries() {
        generated.push(readme::generate(sh, library, &snippets)?);
    }
    let stale = stale(sh, generated);
    if write {
        for file in &stale {
            sh.write_file(&file.path, &file.text)?;
            println!("{}: written", file.path);
        }
    } else {
        let paths: Vec<&str> = stale.iter().map(|file| file.path.as_str()).collect();
        ensure!(
            stale.is_empty(),
            "stale: {}; `cargo xtask docs --write` repairs them",
            paths.join(", ")
        );
    }
    // Again, since something may have been written.
    let files = files::load(&workspace::root())?;
    book::check(&files)?;
    from_go::check(&files)?;
    guides::check(&files)?;
    parts::check(&files, &workspace)?;
    names::check(&files)?;
    names::check_mentions(&files, &workspace)?;
    links::check(&files)?;
    book::build(sh)
}

fn stale(sh: &Shell, generated: Vec<Generated>) -> Vec<Generated> {
    let differs = |file: &Generated| {
        sh.read_file(&file.path)
            .map_or(true, |text| text.replace("\r\n", "\n") != file.text)
    };
    generated.into_iter().filter(differs).collect()
}
