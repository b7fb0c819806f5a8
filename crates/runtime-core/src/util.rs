//! Small helpers shared by several crates.

use std::any::Any;
use std::fmt::Write as _;
use std::future::Future;
use std::io;
use std::sync::Arc;

pub use runtime_gc::{ByteSize, DurationText, ParseDurationError, ParseSizeError, error_sources};
#[cfg(feature = "schema")]
pub use runtime_gc::{MINIMUM_KEYWORD, at_least};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Removes common indentation, and blank lines at the start and end. Two blanks at the end of a line, a line break in
/// Markdown, are kept.
///
/// ```
/// # use runtime_core::util::dedent;
/// assert_eq!(dedent("\n    a  \n      b\n\n    c\n"), "a  \n  b\n\nc");
/// ```
#[must_use]
pub fn dedent(text: &str) -> String {
    let full_lines = text.lines().filter(|line| !line.trim().is_empty());
    let indent = full_lines
        .map(|line| line.len() - line.trim_start().len())
        .min()
        .unwrap_or(0);
    let lines: Vec<_> = text
        .lines()
        .map(|line| match line.trim_start() {
            "" => "",
            // A wide blank, such as U+3000, may start within the indentation.
            text => line.get(indent..).unwrap_or(text),
        })
        .collect();
    lines.join("\n").trim_matches('\n').to_owned()
}

/// Returns the bytes as lower-case hexadecimal digits.
///
/// ```
/// # use runtime_core::util::hex;
/// assert_eq!(hex(&[0, 255]), "00ff");
/// ```
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Returns whether an HTTP status means that the same request may succeed later: 408, 425, 429 and 5xx.
#[must_use]
pub fn is_transient_status(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500..=599)
}

/// Returns the message of a caught panic.
#[must_use]
pub fn panic_message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message")
}

/// Returns whether an error means that the disk is full or a quota is exceeded.
///
/// ```
/// # use runtime_core::util::is_disk_full;
/// assert!(is_disk_full(&std::io::ErrorKind::StorageFull.into()));
/// ```
#[must_use]
pub fn is_disk_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// Runs futures as tokio tasks, at most `limit` at a time, and returns their results in order.
///
/// # Panics
///
/// If `limit` is 0. A panic of one of the futures is propagated.
///
/// # Cancel safety
///
/// Not cancel safe: dropping the future drops unfinished work and all results.
pub async fn join_with_limit<F>(limit: usize, work: impl IntoIterator<Item = F>) -> Vec<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    assert!(limit > 0, "a limit of 0 would wait forever");
    // All futures are spawned and wait for a permit: the set then aborts them together and returns their panics.
    let permits = Arc::new(Semaphore::new(limit));
    let mut running = JoinSet::new();
    for (index, future) in work.into_iter().enumerate() {
        let permits = Arc::clone(&permits);
        running.spawn(async move {
            let _permit = permits.acquire_owned().await;
            (index, future.await)
        });
    }
    let mut results = running.join_all().await;
    results.sort_unstable_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}
