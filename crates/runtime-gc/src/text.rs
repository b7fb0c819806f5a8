//! Formatting that several crates share; `runtime_core::util` re-exports it.
//!
//! It lives here because this crate uses it and depends on no other crate of the workspace.

use std::error::Error;
use std::fmt;

/// A number of bytes that displays in the largest unit that fits, such as `1.5 GiB`.
///
/// ```
/// use runtime_gc::ByteSize;
///
/// assert_eq!(ByteSize(1536).to_string(), "1.5 KiB");
/// assert_eq!(ByteSize(250 << 20).to_string(), "250 MiB");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

impl fmt::Display for ByteSize {
    #[expect(
        clippy::cast_precision_loss,
        reason = "at most three digits are displayed"
    )]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
        let mut value = self.0 as f64;
        let mut unit = 0;
        while value >= 1024.0 && unit + 1 < UNITS.len() {
            value /= 1024.0;
            unit += 1;
        }
        let digits = usize::from(unit > 0 && value < 100.0);
        f.pad(&format!("{value:.digits$} {}", UNITS[unit]))
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn largest_unit_that_fits_is_used() {
        let check = |bytes, text: &str| assert_eq!(ByteSize(bytes).to_string(), text);
        check(0, "0 B");
        check(1023, "1023 B");
        check(1536, "1.5 KiB");
        check(250 << 20, "250 MiB");
        check(20 << 30, "20.0 GiB");
        check(1 << 53, "8192 TiB");
    }
}
