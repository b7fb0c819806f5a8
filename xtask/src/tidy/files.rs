//! The text files of the repository, and what holds for all of them.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::Problem;

/// Folders that are not ours to check.
const FOREIGN: &[&str] = &[".git", "target", "__pycache__"];

/// A text file: its path from the root, with forward slashes, and what is in it.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl File {
    /// The last part of the path.
    pub(crate) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// Says whether the name ends in a dot and this.
    pub(crate) fn has_extension(&self, extension: &str) -> bool {
        self.name()
            .rsplit_once('.')
            .is_some_and(|(_, end)| end == extension)
    }
}

/// Reads every text file below the root, in the order of their paths.
pub(crate) fn load(root: &Path) -> Result<Vec<File>> {
    let mut files = Vec::new();
    visit(root, root, &mut files)?;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn visit(root: &Path, folder: &Path, files: &mut Vec<File>) -> Result<()> {
    for entry in
        fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?
    {
        let entry = entry?;
        let path = entry.path();
        if FOREIGN.iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            visit(root, &path, files)?;
        } else if let Ok(text) = fs::read_to_string(&path) {
            let path = path
                .strip_prefix(root)?
                .to_string_lossy()
                .replace('\\', "/");
            files.push(File { path, text });
        }
    }
    Ok(())
}

/// No file may know where somebody's checkout is.
pub(super) fn check(file: &File, root: &Path) -> Vec<Problem> {
    let root = root.to_string_lossy();
    let lines = file
        .text
        .lines()
        .zip(1..)
        .filter(|(line, _)| line.contains(&*root));
    lines
        .map(|(_, number)| Problem::new(&file.path, number, "names the folder of this checkout"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_the_checkout_is_found() {
        let file = File {
            path: "docs/a.md".into(),
            text: "cd here\ncd /home/me/src\n".into(),
        };
        assert_eq!(check(&file, Path::new("/home/me/src")).len(), 1);
        assert!(check(&file, Path::new("/home/you/src")).is_empty());
    }

    #[test]
    fn an_extension_is_not_just_the_end_of_a_name() {
        let file = |path: &str| File {
            path: path.into(),
            text: String::new(),
        };
        assert!(file("a/b.rs").has_extension("rs"));
        assert!(!file("a/rs").has_extension("rs"));
        assert!(!file("a.rs/b").has_extension("rs"));
    }
}
