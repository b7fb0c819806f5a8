//! The README.md of each crate, generated from the head of its `lib.rs`: one text, which rustdoc checks.

use anyhow::{Context, Result};
use xshell::Shell;

use crate::docs::snippets::Snippets;
use crate::docs::{Generated, features};
use crate::workspace::Package;

/// Returns the README of a library.
pub(super) fn generate(sh: &Shell, library: &Package, snippets: &Snippets) -> Result<Generated> {
    let (name, folder) = (&library.name, library.folder());
    let source = sh.read_file(format!("{folder}/src/lib.rs"))?;
    let body = markdown(&snippets.refresh(&source));
    let manifest = sh.read_file(format!("{folder}/Cargo.toml"))?;
    let features = features::parse(&manifest).with_context(|| name.clone())?;
    let dependency = dependency_section(library, snippets, &body);
    let features = features::section(&features);
    let text = format!(
        "# {name}\n\n{body}{dependency}{features}\n\
         ---\n\n\
         Part of the [worker runtime](../../README.md); see [its place](../../docs/architecture.md) among the other crates. \
         Licensed under MIT or Apache-2.0, at your option.\n"
    );
    Ok(Generated {
        path: format!("{folder}/README.md"),
        text,
    })
}

/// Returns the section that shows how to depend on the library alone, empty if its text shows that.
fn dependency_section(library: &Package, snippets: &Snippets, body: &str) -> String {
    if body.contains("\n[dependencies]\n") {
        return String::new();
    }
    let (name, version) = (&library.name, snippets.version());
    let siblings = library.normal_dependencies();
    let siblings = siblings.filter(|it| !it.optional && snippets.is_library(&it.name));
    let siblings: Vec<String> = siblings.map(|it| format!("`{}`", it.name)).collect();
    let siblings = match &siblings[..] {
        [] => "no other crate".to_owned(),
        names => format!("only {}", names.join(", ")),
    };
    format!(
        "\n## Dependency\n\n\
         This crate works without the facade. Of the worker runtime it needs {siblings}.\n\n\
         ```toml\n[dependencies]\n{name} = \"{version}\"\n```\n"
    )
}

/// Converts the doc comment at the top of a source to Markdown that is readable outside rustdoc.
fn markdown(source: &str) -> String {
    let mut text = String::new();
    let mut block = Block::Prose;
    for line in head(source) {
        if let Some(line) = block.convert(line) {
            text += line.trim_end();
            text.push('\n');
        }
    }
    text
}

/// Returns the lines of the doc comment, without headings at its end: their text is generated.
///
/// Lines that depend on a feature are included, since a README covers all features.
fn head(source: &str) -> Vec<&str> {
    let lines = source.lines().take_while(|line| !line.is_empty());
    let lines = lines.filter_map(|line| {
        line.strip_prefix("//!")
            .or_else(|| feature_line(line))
            .map(|line| line.strip_prefix(' ').unwrap_or(line))
    });
    let mut lines: Vec<_> = lines.collect();
    let is_text = |line: &&str| !line.is_empty() && !line.starts_with('#');
    lines.truncate(lines.iter().rposition(is_text).map_or(0, |last| last + 1));
    lines
}

/// Returns the text of `doc = "..."` in a `cfg_attr` attribute.
fn feature_line(line: &str) -> Option<&str> {
    let text = line.trim_start().strip_prefix("doc = \"")?;
    text.strip_suffix('"')
}

/// The kind of text that a line belongs to.
#[derive(Clone, Copy, PartialEq)]
enum Block {
    Prose,
    /// An example, in which rustdoc hides some lines.
    Rust,
    OtherCode,
}

impl Block {
    /// Converts the next line; `None` if rustdoc hides it.
    fn convert(&mut self, line: &str) -> Option<String> {
        if let Some(language) = line.trim_start().strip_prefix("```") {
            return Some(self.fence(language));
        }
        match self {
            Self::Prose => Some(prose(line)),
            // Attributes such as `#[derive]` are not hidden.
            Self::Rust if line.trim() == "#" || line.trim_start().starts_with("# ") => None,
            Self::Rust | Self::OtherCode => Some(line.to_owned()),
        }
    }

    /// Starts or ends a code block. Flags for rustdoc, such as `no_run`, are replaced by `rust`.
    fn fence(&mut self, language: &str) -> String {
        const RUST: &[&str] = &[
            "",
            "rust",
            "no_run",
            "ignore",
            "should_panic",
            "compile_fail",
        ];
        if *self != Self::Prose {
            *self = Self::Prose;
            return "```".to_owned();
        }
        if language.split(',').all(|word| RUST.contains(&word)) {
            *self = Self::Rust;
            return "```rust".to_owned();
        }
        *self = Self::OtherCode;
        format!("```{language}")
    }
}

/// Converts a line outside code: headings one level down, links to items without their targets.
fn prose(line: &str) -> String {
    if line.starts_with('#') {
        return format!("#{line}");
    }
    unlink(line)
}

/// Replaces links that only rustdoc resolves by their text.
fn unlink(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some((before, link)) = rest.split_once('[') {
        out += before;
        let Some((text, after)) = link.split_once(']') else {
            // A bracket that is not a link, such as an index.
            out.push('[');
            rest = link;
            continue;
        };
        let target = after
            .strip_prefix('(')
            .and_then(|target| target.split_once(')'));
        match target {
            Some((target, _)) if target.contains('/') || target.starts_with('#') => {
                out += &format!("[{text}]");
                rest = after;
            }
            _ => {
                out += text;
                rest = target.map_or(after, |(_, after)| after);
            }
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_lines_of_examples_are_removed() {
        let source = "//! What.\n//!\n//! ```no_run\n//! # fn main() {\n//! #[derive(Debug)]\n//! struct A;\n//! #\n//! # }\n//! ```\n\nmod a;\n//! Not a head.\n";
        let expected = "What.\n\n```rust\n#[derive(Debug)]\nstruct A;\n```\n";
        assert_eq!(markdown(source), expected);
    }

    #[test]
    fn shell_comments_are_kept() {
        let source = "//! ```sh\n//! # list them\n//! ls\n//! ```\n";
        assert_eq!(markdown(source), "```sh\n# list them\nls\n```\n");
    }

    #[test]
    fn only_resolvable_links_are_kept() {
        let line = "A [`Cache`], a [handle](crate::Handle::x), [docs](https://example.com/a), [below](#below), a[0";
        let expected = "A `Cache`, a handle, [docs](https://example.com/a), [below](#below), a[0";
        assert_eq!(prose(line), expected);
    }

    #[test]
    fn feature_dependent_lines_are_included() {
        let source = "//! | a | b |\n#![cfg_attr(\n    feature = \"c\",\n    doc = \"| [`c`](c::C) | d |\"\n)]\n//!\n//! End.\n#![cfg_attr(docsrs, feature(doc_cfg))]\n\nmod a;\n";
        assert_eq!(markdown(source), "| a | b |\n| `c` | d |\n\nEnd.\n");
    }

    #[test]
    fn headings_are_demoted_and_empty_ones_removed() {
        let source = "//! What.\n//!\n//! # Limits\n//!\n//! None.\n//!\n//! # Feature flags\n";
        assert_eq!(markdown(source), "What.\n\n## Limits\n\nNone.\n");
    }
}
