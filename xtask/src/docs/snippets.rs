//! The examples of `Cargo.toml` in the docs: they name packages that exist, with the current version.

use anyhow::{Result, ensure};

use crate::docs::Generated;
use crate::files::File;
use crate::workspace::Workspace;

/// The packages that examples may name, and the version that they require.
pub(super) struct Snippets {
    libraries: Vec<String>,
    /// Without the patch number, such as `0.1`.
    version: String,
}

impl Snippets {
    pub(super) fn new(workspace: &Workspace) -> Self {
        let version = workspace.libraries().next().map_or("", |it| &it.version);
        let minor = version.rsplit_once('.').map_or("", |(minor, _)| minor);
        let libraries = workspace.libraries();
        Self {
            libraries: libraries.map(|library| library.name.clone()).collect(),
            version: minor.to_owned(),
        }
    }

    /// Returns every page and every `lib.rs` with current examples.
    pub(super) fn generate(&self, files: &[File]) -> Result<Vec<Generated>> {
        let sources = || files.iter().filter(|file| has_examples(file));
        let unknown: Vec<String> = sources()
            .flat_map(|file| self.unknown_packages(file))
            .collect();
        ensure!(
            unknown.is_empty(),
            "examples name packages that do not exist:\n{}",
            unknown.join("\n")
        );
        let generated = sources().map(|file| Generated {
            path: file.path.clone(),
            text: self.refresh(&file.text.replace("\r\n", "\n")),
        });
        Ok(generated.collect())
    }

    /// Returns the text with the current version in every example that requires a library.
    pub(super) fn refresh(&self, text: &str) -> String {
        let refresh = |(line, is_toml): (&str, bool)| match requirement(line) {
            Some((name, version)) if is_toml && self.is_library(name) => {
                // The first match is the version: features are listed after it.
                let current = format!("\"{}\"", self.version);
                line.replacen(&format!("\"{version}\""), &current, 1)
            }
            _ => line.to_owned(),
        };
        let lines: Vec<String> = lines_with_toml(text).map(refresh).collect();
        lines.join("\n")
    }

    fn unknown_packages(&self, file: &File) -> Vec<String> {
        let examples = lines_with_toml(&file.text).filter(|(_, is_toml)| *is_toml);
        let names = examples.filter_map(|(line, _)| Some(requirement(line)?.0));
        let unknown = names.filter(|name| name.contains("runtime") && !self.is_library(name));
        unknown
            .map(|name| format!("{}: `{name}`", file.path))
            .collect()
    }

    /// Returns the version that examples require, such as `0.1`.
    pub(super) fn version(&self) -> &str {
        &self.version
    }

    /// Returns whether this package is a library of the workspace.
    pub(super) fn is_library(&self, name: &str) -> bool {
        self.libraries.iter().any(|library| library == name)
    }
}

/// READMEs of crates are generated from their `lib.rs`, so they need no check.
fn has_examples(file: &File) -> bool {
    let is_lib = file.path.starts_with("crates/") && file.path.ends_with("/src/lib.rs");
    let is_page = file.path == "README.md" || file.path.starts_with("docs/");
    is_lib || (is_page && file.has_extension("md"))
}

/// Returns the lines, each with whether it is in a TOML block.
fn lines_with_toml(text: &str) -> impl Iterator<Item = (&str, bool)> {
    let mut is_toml = false;
    text.split('\n').map(move |line| {
        let fence = without_doc_marker(line).strip_prefix("```");
        if let Some(language) = fence {
            is_toml = language == "toml";
        }
        (line, is_toml && fence.is_none())
    })
}

fn without_doc_marker(line: &str) -> &str {
    line.strip_prefix("//!").unwrap_or(line).trim()
}

/// Parses the package and the version of a line in a dependency table.
fn requirement(line: &str) -> Option<(&str, &str)> {
    let (name, value) = without_doc_marker(line).split_once(" = ")?;
    let version = match value.strip_prefix('{') {
        Some(table) => table.split_once("version = ")?.1,
        None => value,
    };
    let version = version.strip_prefix('"')?.split('"').next()?;
    Some((name, version))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snippets() -> Snippets {
        Snippets {
            libraries: vec!["runtime-gc".into(), "worker-runtime".into()],
            version: "0.2".into(),
        }
    }

    #[test]
    fn only_library_versions_are_updated() {
        let page = "```toml\nruntime-gc = \"0.1\"\ntokio = \"0.1\"\n\
            worker-runtime = { version = \"0.1\", features = [\"gc\"] }\n```\nruntime-gc = \"0.1\"\n";
        let fresh = snippets().refresh(page);
        assert_eq!(fresh.matches("\"0.2\"").count(), 2, "{fresh}");
        assert!(fresh.contains("tokio = \"0.1\""), "{fresh}");
        assert_eq!(snippets().refresh(&fresh), fresh);
    }

    #[test]
    fn doc_comments_have_examples() {
        let head = "//! ```toml\n//! runtime-gc = \"0.1\"\n//! ```\n";
        assert_eq!(snippets().refresh(head), head.replace("0.1", "0.2"));
    }

    #[test]
    fn unknown_package_is_found() {
        let file = |text: &str| File::new("README.md", text);
        let page = file("```toml\nruntime = \"0.2\"\nserde = \"1\"\n```\n");
        let error = snippets().generate(&[page]).map(drop);
        let error = error.expect_err("unknown package").to_string();
        assert!(error.contains("README.md: `runtime`"), "{error}");
        assert!(!error.contains("serde"), "{error}");
        assert!(snippets().generate(&[file("runtime = \"0.2\"\n")]).is_ok());
    }
}
