//! Links in Markdown files to files of this repository: the targets exist.

use std::path::Path;

use anyhow::{Result, ensure};

use crate::files::File;
use crate::workspace;

/// Checks every Markdown file of the repository.
pub(super) fn check(files: &[File]) -> Result<()> {
    let root = workspace::root();
    let pages = files.iter().filter(|file| file.has_extension("md"));
    let broken: Vec<String> = pages.flat_map(|file| broken_links(&root, file)).collect();
    ensure!(broken.is_empty(), "broken links:\n{}", broken.join("\n"));
    Ok(())
}

fn broken_links(root: &Path, file: &File) -> Vec<String> {
    let path = root.join(&file.path);
    let folder = path.parent().unwrap_or(root);
    let mut broken = Vec::new();
    for (line, text) in prose_lines(&file.text) {
        for target in link_targets(text).filter(|target| !folder.join(target).exists()) {
            broken.push(format!("{}:{line}: {target}", file.path));
        }
    }
    broken
}

/// Returns the numbered lines outside fenced code.
fn prose_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut is_code = false;
    (1..).zip(text.lines()).filter(move |(_, line)| {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        }
        !is_code
    })
}

/// Returns the files that a line links to, without fragments; links to other sites are skipped.
fn link_targets(line: &str) -> impl Iterator<Item = &str> {
    let links = line
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split([')', ' ']).next());
    links
        .filter(|link| !link.contains(':'))
        .filter_map(|link| link.split('#').next())
        .filter(|path| !path.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_links_to_files_are_checked() {
        let targets = |line| link_targets(line).collect::<Vec<_>>();
        let line = "see [a](docs/a.md#part), [b](https://example.com) and ![c](c.svg \"title\")";
        assert_eq!(targets(line), ["docs/a.md", "c.svg"]);
        let line = "[this page](#below) and [mail](mailto:a@example.com)";
        assert_eq!(targets(line), Vec::<&str>::new());
    }

    #[test]
    fn code_is_skipped() {
        let lines = prose_lines("one\n```text\n[x](y)\n```\ntwo");
        let numbers: Vec<_> = lines.map(|(number, _)| number).collect();
        assert_eq!(numbers, [1, 4, 5]);
    }
}
