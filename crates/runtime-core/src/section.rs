//! Documentation for task authors, assembled from the sections of engine and plugins.

use crate::util::dedent;

/// The level of the highest heading within a section: one below the section's title, which is one below the
/// document's.
const CONTENT_LEVEL: usize = 3;
/// The lowest level of Markdown.
const MAX_LEVEL: usize = 6;

/// A section of the documentation for task authors, provided by an engine or a plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// The heading, without `#`. Rendered at level 2.
    pub title: String,
    /// The text in Markdown, with headings of level 3 (`###`) and deeper. If it has headings of level 1 or 2, all its
    /// headings are demoted together, so that the highest is at level 3.
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

/// Renders a document as Markdown: the title at level 1 and the sections, sorted by title, at level 2.
///
/// Only headings that start with `#` are demoted, not underlined ones.
///
/// ```
/// # use runtime_core::{Section, render_document};
/// let sections = [
///     Section::new("Caches", "### Expiry\nNever."),
///     Section::new("Artifacts", "# Expiry\nAs the task."),
/// ];
/// let text = render_document("My worker", &sections);
/// assert_eq!(
///     text,
///     "# My worker\n\n## Artifacts\n\n### Expiry\nAs the task.\n\n## Caches\n\n### Expiry\nNever.\n"
/// );
/// ```
#[must_use]
pub fn render_document(title: &str, sections: &[Section]) -> String {
    let mut sections: Vec<_> = sections.iter().collect();
    sections.sort_by_key(|section| &section.title);
    let mut text = format!("# {title}\n");
    for section in sections {
        let content = demote(section.content.trim_end());
        text.push_str(&format!("\n## {}\n\n{content}\n", section.title));
    }
    text
}

/// Demotes all headings by the same number of levels, so that the highest is at most at [`CONTENT_LEVEL`].
fn demote(markdown: &str) -> String {
    let lines = with_levels(markdown);
    let highest = lines.iter().filter_map(|(_, level)| *level).min();
    let shift = highest.map_or(0, |highest| CONTENT_LEVEL.saturating_sub(highest));
    let lines = lines.into_iter().map(|(line, level)| match level {
        Some(level) => {
            let text = line.trim_start().trim_start_matches('#');
            format!("{}{text}", "#".repeat(MAX_LEVEL.min(level + shift)))
        }
        None => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Returns each line with its level if it is a heading. In fenced code, a `#` starts a comment of a shell.
fn with_levels(markdown: &str) -> Vec<(&str, Option<usize>)> {
    let mut fence: Option<&str> = None;
    let lines = markdown.lines().map(|line| {
        let is_code = fence.is_some();
        match (fence, opened_fence(line)) {
            (None, opened) => fence = opened,
            // The end of the code: at least as many of the same character, and nothing else.
            (Some(open), Some(end)) if end.starts_with(open) && line.trim() == end => fence = None,
            (Some(_), _) => {}
        }
        let level = if is_code { None } else { heading_level(line) };
        (line, level)
    });
    lines.collect()
}

/// Returns the level of a line such as `## Title`; `None` for `#hashtag`, indented code, and more than six
/// `#`.
fn heading_level(line: &str) -> Option<usize> {
    let line = unindented(line)?;
    let text = line.trim_start_matches('#');
    let level = line.len() - text.len();
    let is_separated = text.is_empty() || text.starts_with([' ', '\t']);
    (is_separated && (1..=MAX_LEVEL).contains(&level)).then_some(level)
}

/// Returns the characters that start or end fenced code: three or more backticks or tildes.
fn opened_fence(line: &str) -> Option<&str> {
    let line = unindented(line)?;
    let rest = line.trim_start_matches(
        ['`', '~']
            .into_iter()
            .find(|mark| line.starts_with(*mark))?,
    );
    let fence = &line[..line.len() - rest.len()];
    // Backticks in the rest of the line: a span of code within a paragraph.
    let is_span = fence.starts_with('`') && rest.contains('`');
    (fence.len() >= 3 && !is_span).then_some(fence)
}

/// Removes up to three blanks. With four, a line is indented code.
fn unindented(line: &str) -> Option<&str> {
    let text = line.trim_start_matches(' ');
    (line.len() - text.len() < 4).then_some(text)
}
