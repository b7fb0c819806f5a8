//! `cargo xtask docs`: the generated table of README.md, and the links of all Markdown files.

use anyhow::{Context, Result, bail};
use xshell::Shell;

use crate::tidy::arrows::LIBRARIES;
use crate::workspace::Workspace;
use crate::{budget, links};

const BEGIN: &str = "<!-- crates:begin -->";
const END: &str = "<!-- crates:end -->";

/// Compares the table with what it should be, or writes it; then checks the links.
pub(crate) fn run(sh: &Shell, write: bool) -> Result<()> {
    let readme = sh.read_file("README.md")?;
    let fresh = replace(&readme, &table(sh)?).context("README.md has no crate table")?;
    if fresh != readme {
        if !write {
            bail!("the crate table of README.md is stale; `cargo xtask docs --write` repairs it");
        }
        sh.write_file("README.md", fresh)?;
        println!("README.md: crate table written");
    }
    links::check(sh)
}

/// One row a library, from the leaves to the facade.
fn table(sh: &Shell) -> Result<String> {
    let workspace = Workspace::load(sh)?;
    let mut table = String::from("| crate | what for | crates it brings |\n| --- | --- | ---: |\n");
    for (name, _) in LIBRARIES {
        let library = workspace.libraries().find(|library| library.name == *name);
        let library = library.with_context(|| format!("no library `{name}`"))?;
        let what = library
            .description
            .as_deref()
            .with_context(|| format!("{name} has no description"))?;
        let weight = budget::weight(sh, name, &[])?;
        table += &format!("| [`{name}`](crates/{name}) | {what} | {weight} |\n");
    }
    Ok(table)
}

/// The text with everything between the marks replaced; `None` if a mark is missing.
fn replace(text: &str, table: &str) -> Option<String> {
    let (head, rest) = text.split_once(BEGIN)?;
    let (_, tail) = rest.split_once(END)?;
    Some(format!("{head}{BEGIN}\n{table}{END}{tail}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_marks_changes() {
        let text = format!("# Title\n{BEGIN}\nold\nrows\n{END}\nmore\n");
        let fresh = replace(&text, "new\n").expect("both marks are there");
        assert_eq!(fresh, format!("# Title\n{BEGIN}\nnew\n{END}\nmore\n"));
        assert_eq!(
            replace(&fresh, "new\n"),
            Some(fresh),
            "writing twice changes nothing"
        );
    }

    #[test]
    fn a_missing_mark_is_noticed() {
        assert_eq!(replace(BEGIN, "new"), None);
        assert_eq!(replace(END, "new"), None);
    }
}
