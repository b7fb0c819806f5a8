//! The text files of the repository.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Folders that are not part of the repository.
const SKIPPED_DIRS: &[&str] = &[".git", "target", "__pycache__"];

/// A text file with its path relative to the root, with forward slashes.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl File {
    /// Creates a file.
    pub(crate) fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            text: text.into(),
        }
    }

    /// Returns the last part of the path.
    pub(crate) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// Returns whether the file has this extension.
    pub(crate) fn has_extension(&self, extension: &str) -> bool {
        let parts = self.name().rsplit_once('.');
        parts.is_some_and(|(_, end)| end == extension)
    }

    /// Returns whether the file is a source of a library, not of its tests, benches or examples.
    pub(crate) fn is_library_source(&self) -> bool {
        let is_in_src = self.path.starts_with("crates/") && self.path.contains("/src/");
        is_in_src && self.has_extension("rs")
    }

    /// Returns the numbered lines of code of a source: neither comments nor the unit tests at the end.
    pub(crate) fn code_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = (1..).zip(self.text.lines());
        lines
            .take_while(|(_, line)| !line.starts_with("#[cfg(test)]"))
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
    }
}

/// Reads every text file below the root, in the order of the paths.
pub(crate) fn load(root: &Path) -> Result<Vec<File>> {
    let mut files = Vec::new();
    visit(root, root, &mut files)?;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn visit(root: &Path, folder: &Path, files: &mut Vec<File>) -> Result<()> {
    let entries = fs::read_dir(folder);
    for entry in entries.with_context(|| format!("cannot list {}", folder.display()))? {
        let entry = entry?;
        if SKIPPED_DIRS.iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            visit(root, &path, files)?;
        } else if let Ok(text) = fs::read_to_string(&path) {
            let relative = path.strip_prefix(root)?.to_string_lossy();
            files.push(File::new(relative.replace('\\', "/"), text));
        }
    }
    Ok(())
}

/// Returns the text of the file with this path.
pub(crate) fn text<'a>(files: &'a [File], path: &str) -> Result<&'a str> {
    let file = files.iter().find(|file| file.path == path);
    Ok(&file.with_context(|| format!("{path} does not exist"))?.text)
}

/// Returns the code spans of a Markdown line, without their backticks.
pub(crate) fn code_spans(line: &str) -> impl Iterator<Item = &str> {
    // Text outside and inside backticks alternates.
    line.split('`').skip(1).step_by(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extension_is_more_than_an_ending() {
        let has_extension = |path: &str| File::new(path, "").has_extension("rs");
        assert!(has_extension("a/b.rs"));
        assert!(!has_extension("a/rs"));
        assert!(!has_extension("a.rs/b"));
    }

    #[test]
    fn code_has_neither_comments_nor_unit_tests() {
        let file = File::new("a.rs", "//! Head.\nfn f() {}\n#[cfg(test)]\nmod tests {}\n");
        assert_eq!(file.code_lines().collect::<Vec<_>>(), [(2, "fn f() {}")]);
    }
}
