//! Texts of errors that several crates share; `runtime_core::util` re-exports them.
//!
//! They are in this crate because it uses them and depends on no other crate of the workspace.

use std::error::Error;

/// Formats an error and its causes as one line, `a: b: c`.
#[must_use]
pub fn error_chain(error: &(dyn Error + 'static)) -> String {
    let mut line = error.to_string();
    for cause in error_sources(error).skip(1) {
        let text = cause.to_string();
        // Transparent wrappers have the same text as their cause: write it once.
        if !line.ends_with(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
    }
    line
}

/// Returns an iterator over an error and its causes, the outermost first.
pub fn error_sources<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}
