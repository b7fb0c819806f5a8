//! Each crate's README.md, made from the head of its `lib.rs`: one text, checked by rustdoc, in both places.

use anyhow::{Context, Result};
use xshell::Shell;

use super::snippets::Snippets;
use super::{Generated, features};
use crate::workspace::Package;

/// The README of a library.
pub(super) fn generate(sh: &Shell, library: &Package, snippets: &Snippets) -> Result<Generated> {
    let folder = library.folder();
    let source = sh.read_file(format!("{folder}/src/lib.rs"))?;
    let body = markdown(&snippets.refresh(&source));
    let manifest = sh.read_file(format!("{folder}/Cargo.toml"))?;
    let features = features::described(&manifest).context(library.name.clone())?;
    let features = features::section(&features);
    let text = format!(
        "# {name}\n\n{body}{features}\n\
         ---\n\n\
         Part of the [worker runtime](../../README.md); \
         [where it stands](../../docs/architecture.md) among the other crates. \
         Licensed under MIT or Apache-2.0, at your option.\n",
        name = library.name,
    );
    Ok(Generated {
        path: format!("{folder}/README.md"),
        text,
    })
}

/// The doc comment at the top of a source, as Markdown that also reads well outside of rustdoc.
fn markdown(source: &str) -> String {
    let mut text = String::new();
    let mut fence = Fence::Outside;
    for line in head(source) {
        if let Some(line) = fence.pass(line) {
            text += line.trim_end();
            text.push('\n');
        }
    }
    text
}

/// The lines of the doc comment, up to a heading that has nothing below it: its text is made elsewhere.
///
/// Lines that only a feature adds are among them: a README describes all features.
fn head(source: &str) -> Vec<&str> {
    let block = source.lines().take_while(|line| !line.is_empty());
    let lines = block.filter_map(|line| {
        line.strip_prefix("//!")
            .or_else(|| added_by_a_feature(line))
            .map(|line| line.strip_prefix(' ').unwrap_or(line))
    });
    let mut lines: Vec<_> = lines.collect();
    while lines
        .last()
        .is_some_and(|line| line.is_empty() || line.starts_with('#'))
    {
        lines.pop();
    }
    lines
}

/// The text of `doc = "..."` in an attribute.
fn added_by_a_feature(line: &str) -> Option<&str> {
    let text = line.trim_start().strip_prefix("doc = \"")?;
    text.strip_suffix('"')
}

/// Where a line stands.
#[derive(Clone, Copy, PartialEq)]
enum Fence {
    Outside,
    /// In an example, whose hidden lines only rustdoc wants.
    Rust,
    Other,
}

impl Fence {
    /// What becomes of the next line: nothing, if only rustdoc wants it.
    fn pass(&mut self, line: &str) -> Option<String> {
        if let Some(language) = line.trim_start().strip_prefix("```") {
            return Some(self.turn(language));
        }
        match self {
            Self::Outside => Some(prose(line)),
            Self::Rust if line.trim() == "#" || line.trim_start().starts_with("# ") => None,
            Self::Rust | Self::Other => Some(line.to_owned()),
        }
    }

    fn turn(&mut self, language: &str) -> String {
        if *self != Self::Outside {
            *self = Self::Outside;
            return "```".to_owned();
        }
        let rust = [
            "",
            "rust",
            "no_run",
            "ignore",
            "should_panic",
            "compile_fail",
        ];
        if language.split(',').all(|word| rust.contains(&word)) {
            *self = Self::Rust;
            return "```rust".to_owned();
        }
        *self = Self::Other;
        format!("```{language}")
    }
}

/// A line outside of code: headings one level down, links to items without their targets.
fn prose(line: &str) -> String {
    if line.starts_with('#') {
        return format!("#{line}");
    }
    unlink(line)
}

/// Links that only rustdoc can follow become what they show.
fn unlink(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some((before, link)) = rest.split_once('[') {
        out += before;
        let Some((shown, after)) = link.split_once(']') else {
            out.push('[');
            rest = link;
            continue;
        };
        let target = after
            .strip_prefix('(')
            .and_then(|target| target.split_once(')'));
        match target {
            Some((target, _)) if target.contains('/') || target.starts_with('#') => {
                out += &format!("[{shown}]");
                rest = after;
            }
            Some((_, after)) => {
                out += shown;
                rest = after;
            }
            None => {
                out += shown;
                rest = after;
            }
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_lose_their_hidden_lines_and_keep_attributes() {
        let source = "//! What.\n//!\n//! ```no_run\n//! # fn main() {\n//! #[derive(Debug)]\n//! struct A;\n//! #\n//! # }\n//! ```\n\nmod a;\n//! Not a head.\n";
        assert_eq!(
            markdown(source),
            "What.\n\n```rust\n#[derive(Debug)]\nstruct A;\n```\n"
        );
    }

    #[test]
    fn comments_of_a_shell_are_not_hidden_lines() {
        assert_eq!(
            markdown("//! ```sh\n//! # list them\n//! ls\n//! ```\n"),
            "```sh\n# list them\nls\n```\n"
        );
    }

    #[test]
    fn only_links_that_lead_somewhere_stay() {
        let line = "A [`Cache`], a [handle](crate::Handle::x), [docs](https://example.com/a), [below](#below), a[0";
        assert_eq!(
            prose(line),
            "A `Cache`, a handle, [docs](https://example.com/a), [below](#below), a[0"
        );
    }

    #[test]
    fn lines_that_a_feature_adds_are_in_the_readme() {
        let source = "//! | a | b |\n#![cfg_attr(\n    feature = \"c\",\n    doc = \"| [`c`](c::C) | d |\"\n)]\n//!\n//! End.\n#![cfg_attr(docsrs, feature(doc_cfg))]\n\nmod a;\n";
        assert_eq!(markdown(source), "| a | b |\n| `c` | d |\n\nEnd.\n");
    }

    #[test]
    fn headings_move_below_the_title_and_empty_ones_go() {
        assert_eq!(
            markdown("//! What.\n//!\n//! # Limits\n//!\n//! None.\n//!\n//! # Feature flags\n"),
            "What.\n\n## Limits\n\nNone.\n"
        );
    }
}
