//! The examples of `Cargo.toml` in the docs: they name packages of ours that exist, at the version that is current.

use anyhow::{Result, ensure};

use super::Generated;
use crate::tidy::files::File;
use crate::workspace::Workspace;

/// The packages that examples may name, and the version that they have to ask for.
pub(super) struct Snippets {
    libraries: Vec<String>,
    /// Such as `0.1`, without the patch.
    version: String,
}

impl Snippets {
    pub(super) fn new(workspace: &Workspace) -> Self {
        let libraries = workspace.libraries();
        let version = workspace.libraries().next().map_or("", |it| &it.version);
        let minor = version.rsplit_once('.').map_or("", |(minor, _)| minor);
        Self {
            libraries: libraries.map(|library| library.name.clone()).collect(),
            version: minor.to_owned(),
        }
    }

    /// Every page and every head of a library with its examples as they should be.
    pub(super) fn generate(&self, files: &[File]) -> Result<Vec<Generated>> {
        let wrong: Vec<String> = pages(files).flat_map(|file| self.unknown(file)).collect();
        ensure!(
            wrong.is_empty(),
            "examples name packages that nobody can depend on:\n{}",
            wrong.join("\n")
        );
        let fresh = pages(files).map(|file| Generated {
            path: file.path.clone(),
            text: self.refresh(&file.text.replace("\r\n", "\n")),
        });
        Ok(fresh.collect())
    }

    /// The text, with the current version wherever an example asks for a library.
    pub(super) fn refresh(&self, text: &str) -> String {
        let mut lines = Vec::new();
        for (line, is_toml) in fenced(text) {
            let asked = is_toml.then(|| requirement(line)).flatten();
            lines.push(match asked {
                Some((name, version)) if self.is_ours(name) => line.replacen(
                    &format!("\"{version}\""),
                    &format!("\"{}\"", self.version),
                    1,
                ),
                _ => line.to_owned(),
            });
        }
        lines.join("\n")
    }

    fn unknown(&self, file: &File) -> Vec<String> {
        let asked = fenced(&file.text)
            .filter(|(_, is_toml)| *is_toml)
            .filter_map(|(line, _)| requirement(line));
        let unknown = asked.filter(|(name, _)| name.contains("runtime") && !self.is_ours(name));
        unknown
            .map(|(name, _)| format!("{}: `{name}`", file.path))
            .collect()
    }

    fn is_ours(&self, name: &str) -> bool {
        self.libraries.iter().any(|library| library == name)
    }
}

/// Where examples stand; READMEs of crates are made of the heads.
fn pages(files: &[File]) -> impl Iterator<Item = &File> {
    files.iter().filter(|file| {
        let is_head = file.path.starts_with("crates/") && file.path.ends_with("/src/lib.rs");
        let is_page = file.path == "README.md" || file.path.starts_with("docs/");
        is_head || (is_page && file.has_extension("md"))
    })
}

/// The lines, and whether each is in a block of TOML.
fn fenced(text: &str) -> impl Iterator<Item = (&str, bool)> {
    let mut is_toml = false;
    text.split('\n').map(move |line| {
        let fence = bare(line).strip_prefix("```");
        if let Some(language) = fence {
            is_toml = language == "toml";
        }
        (line, is_toml && fence.is_none())
    })
}

/// The line without what makes it a doc comment.
fn bare(line: &str) -> &str {
    line.strip_prefix("//!").unwrap_or(line).trim()
}

/// The package and the version that a line of a dependency table asks for.
fn requirement(line: &str) -> Option<(&str, &str)> {
    let (name, value) = bare(line).split_once(" = ")?;
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
    fn examples_ask_for_the_current_version_of_ours_and_keep_others() {
        let page = |version: &str| {
            format!(
                "```toml\nruntime-gc = \"{version}\"\ntokio = \"0.1\"\n\
                 worker-runtime = {{ version = \"{version}\", features = [\"gc\"] }}\n```\nruntime-gc = \"0.1\"\n"
            )
        };
        let fresh = snippets().refresh(&page("0.1"));
        assert_eq!(fresh.matches("\"0.2\"").count(), 2, "{fresh}");
        assert!(fresh.contains("tokio = \"0.1\""), "{fresh}");
        assert_eq!(snippets().refresh(&fresh), fresh);
    }

    #[test]
    fn examples_in_doc_comments_are_examples() {
        let head = "//! ```toml\n//! runtime-gc = \"0.1\"\n//! ```\n";
        assert_eq!(snippets().refresh(head), head.replace("0.1", "0.2"));
    }

    #[test]
    fn an_example_of_a_package_that_is_not_there_is_found() {
        let file = |text: &str| File {
            path: "README.md".into(),
            text: text.into(),
        };
        let wrong = file("```toml\nruntime = \"0.2\"\nserde = \"1\"\n```\n");
        let error = snippets().generate(&[wrong]).map(drop);
        let error = error.expect_err("`runtime` is no package").to_string();
        assert!(error.contains("README.md: `runtime`"), "{error}");
        assert!(!error.contains("serde"), "{error}");
        assert!(snippets().generate(&[file("runtime = \"0.2\"\n")]).is_ok());
    }
}
