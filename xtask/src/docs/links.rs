//! Links of Markdown files to files of this repository: each must lead somewhere.

use std::path::Path;

use anyhow::{Result, ensure};

use crate::tidy::files::File;
use crate::workspace;

/// Checks every Markdown file of the repository.
pub(super) fn check(files: &[File]) -> Result<()> {
    let root = workspace::root();
    let broken: Vec<String> = files
        .iter()
        .filter(|file| file.has_extension("md"))
        .flat_map(|file| broken(&root, file))
        .collect();
    ensure!(
        broken.is_empty(),
        "links that lead nowhere:\n{}",
        broken.join("\n")
    );
    Ok(())
}

fn broken(root: &Path, file: &File) -> Vec<String> {
    let folder = root
        .join(&file.path)
        .parent()
        .expect("a file is in a folder")
        .to_owned();
    let mut broken = Vec::new();
    for (line, text) in prose(&file.text) {
        for target in targets(text).filter(|target| !folder.join(target).exists()) {
            broken.push(format!("{}:{line}: {target}", file.path));
        }
    }
    broken
}

/// The numbered lines outside of fenced code.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().zip(1..).filter_map(move |(line, number)| {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        (!fenced).then_some((number, line))
    })
}

/// The files that a line links to, without fragments; links to other places are none of our business.
fn targets(line: &str) -> impl Iterator<Item = &str> {
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

    fn all(line: &str) -> Vec<&str> {
        targets(line).collect()
    }

    #[test]
    fn only_links_to_files_are_checked() {
        assert_eq!(
            all("see [a](docs/a.md#part), [b](https://example.com) and ![c](c.svg \"title\")"),
            ["docs/a.md", "c.svg"]
        );
        assert_eq!(
            all("[this page](#below) and [mail](mailto:a@example.com)"),
            Vec::<&str>::new()
        );
    }

    #[test]
    fn code_is_not_prose() {
        let lines: Vec<_> = prose("one\n```text\n[x](y)\n```\ntwo")
            .map(|(number, _)| number)
            .collect();
        assert_eq!(lines, [1, 4, 5]);
    }
}
