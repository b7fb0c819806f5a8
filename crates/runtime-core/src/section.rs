//! User documentation of engines and plugins, put together from sections.

use crate::util::dedent;

/// A section of the documentation that a worker shows to authors of tasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// The heading, without `#`.
    pub title: String,
    /// Markdown; headings in it start at `#` and are moved below the section's own.
    pub content: String,
}

impl Section {
    /// Makes a section; indentation that all lines share is taken away.
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

/// Moves headings two levels down, except in fenced code.
fn demote(markdown: &str) -> String {
    let mut in_code = false;
    let lines = markdown.trim_end().lines().map(|line| {
        in_code ^= line.trim_start().starts_with("```");
        if !in_code && line.starts_with('#') {
            format!("##{line}")
        } else {
            line.to_owned()
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}
