//! The table of crates in README.md.

use anyhow::{Context, Result};
use xshell::Shell;

use super::Generated;
use super::snippets::Snippets;
use crate::budget;
use crate::tidy::layering::LIBRARIES;
use crate::workspace::Workspace;

const PATH: &str = "README.md";
const MARKS: Marks = Marks {
    begin: "<!-- crates:begin -->",
    end: "<!-- crates:end -->",
};

/// What stands around a part of a page that is written by a program, each on a line of its own.
pub(crate) struct Marks {
    pub(crate) begin: &'static str,
    pub(crate) end: &'static str,
}

/// README.md with a fresh table.
pub(super) fn generate(
    sh: &Shell,
    workspace: &Workspace,
    snippets: &Snippets,
) -> Result<Generated> {
    let text = sh.read_file(PATH)?.replace("\r\n", "\n");
    let text = MARKS
        .replace(&text, &table(sh, workspace)?)
        .context("README.md has no crate table")?;
    Ok(Generated {
        path: PATH.to_owned(),
        text: snippets.refresh(&text),
    })
}

/// One row a library, from the leaves to the facade.
fn table(sh: &Shell, workspace: &Workspace) -> Result<String> {
    let mut table = String::from("| crate | what for | crates it brings |\n| --- | --- | ---: |\n");
    for (name, _) in LIBRARIES {
        let library = workspace.libraries().find(|library| library.name == *name);
        let library = library.with_context(|| format!("no library `{name}`"))?;
        let what = library.description()?;
        let folder = library.folder();
        let weight = budget::weight(sh, name, &[])?;
        table += &format!("| [`{name}`]({folder}) | {what} | {weight} |\n");
    }
    Ok(table)
}

impl Marks {
    /// The text with everything between the marks replaced; `None` if a mark is missing.
    pub(crate) fn replace(&self, text: &str, table: &str) -> Option<String> {
        let Self { begin, end } = self;
        let (head, rest) = text.split_once(begin)?;
        let (_, tail) = rest.split_once(end)?;
        Some(format!("{head}{begin}\n{table}{end}{tail}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_marks_changes() {
        let Marks { begin, end } = MARKS;
        let text = format!("# Title\n{begin}\nold\nrows\n{end}\nmore\n");
        let fresh = MARKS.replace(&text, "new\n").expect("both marks are there");
        assert_eq!(fresh, format!("# Title\n{begin}\nnew\n{end}\nmore\n"));
        assert_eq!(
            MARKS.replace(&fresh, "new\n"),
            Some(fresh),
            "writing twice changes nothing"
        );
    }

    #[test]
    fn a_missing_mark_is_noticed() {
        assert_eq!(MARKS.replace(MARKS.begin, "new"), None);
        assert_eq!(MARKS.replace(MARKS.end, "new"), None);
    }
}
