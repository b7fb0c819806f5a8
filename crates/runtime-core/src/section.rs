//! Documentation for task authors, assembled from the sections of engine and plugins.

use crate::util::dedent;

/// A section of the documentation for task authors, provided by an engine or a plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// The heading, without `#`.
    pub title: String,
    /// The text in Markdown. Its headings start at level 1 and are rendered below the section's heading.
    pub content: String,
}

impl Section {
    /// Creates a section and removes the common indentation of `content`.
    pub fn new(title: impl Into<String>, content: &str) -> Self {
        Self {
            title: title.into(),
            content: dedent(content),
        }
    }
}

/// Renders a document with a title and sections as Markdown.
///
/// ```
/// # use runtime_core::{Section, render_document};
/// let text = render_document("My worker", &[Section::new("Artifacts", "# Expiry\nAs the task.")]);
/// assert_eq!(text, "# My worker\n\n## Artifacts\n\n### Expiry\nAs the task.\n");
/// ```
#[must_use]
pub fn render_document(title: &str, sections: &[Section]) -> String {
    let mut text = format!("# {title}\n");
    for section in sections {
        text.push_str(&format!(
            "\n## {}\n\n{}\n",
            section.title,
            demote(&section.content)
        ));
    }
    text
}

/// Demotes headings by two levels, below the title and the section heading. Fenced code is unchanged.
fn demote(markdown: &str) -> String {
    let mut in_code = false;
    let lines = markdown.trim_end().lines().map(|line| {
        // Within a fence, a `#` starts a comment of a shell, not a heading.
        in_code ^= line.trim_start().starts_with("```");
        if !in_code && line.starts_with('#') {
            format!("##{line}")
        } else {
            line.to_owned()
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}
