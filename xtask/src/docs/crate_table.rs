//! The table of crates in README.md.

use anyhow::Result;
use xshell::Shell;

use crate::budget;
use crate::docs::Generated;
use crate::docs::snippets::Snippets;
use crate::generated_part::GeneratedPart;
use crate::tidy::layering::LIBRARIES;
use crate::workspace::Workspace;

const TABLE: GeneratedPart<'_> = GeneratedPart {
    page: "README.md",
    name: "crates",
};

/// Returns README.md with a current table.
pub(super) fn generate(
    sh: &Shell,
    workspace: &Workspace,
    snippets: &Snippets,
) -> Result<Generated> {
    let text = sh.read_file(TABLE.page)?.replace("\r\n", "\n");
    let text = TABLE.replace(&text, &table(sh, workspace)?)?;
    Ok(Generated {
        path: TABLE.page.to_owned(),
        text: snippets.refresh(&text),
    })
}

/// Returns a row per library, from the leaves to the facade.
fn table(sh: &Shell, workspace: &Workspace) -> Result<String> {
    let mut table =
        String::from("| crate | purpose | crates in its tree |\n| --- | --- | ---: |\n");
    for (name, _) in LIBRARIES {
        let library = workspace.package(name)?;
        let (folder, purpose) = (library.folder(), library.description()?);
        let count = budget::dependency_count(sh, name, &[])?;
        table += &format!("| [`{name}`]({folder}) | {purpose} | {count} |\n");
    }
    Ok(table)
}
