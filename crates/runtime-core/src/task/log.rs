//! The options of a task log, and the format of the worker's lines in it.

use std::fmt;

use jiff::Timestamp;
use runtime_ioext::log::{OutputLimit, OutputLimitWriter, RedactingWriter, Redactor};

/// The writer for a task's output. It redacts secrets and drops the middle of output beyond the limit.
/// Clone it for each output stream of the task.
pub type LogDrain = RedactingWriter<OutputLimitWriter>;

/// Redaction and output limit of a task log.
#[derive(Clone, Debug, Default)]
pub struct LogOptions {
    /// The secrets to redact; more can be added while the task runs. The credentials of the run are added
    /// automatically.
    pub redactor: Redactor,
    /// The limit for the task's output; unlimited by default. Worker lines do not count.
    pub output_limit: OutputLimit,
}

/// Formats `[taskcluster 2024-07-18T16:06:40.357Z] message`, the prefix that log parsers expect.
///
/// Each line of a multi-line message has the prefix, because parsers work line by line. A line feed at the end
/// starts no further line.
pub(super) fn info_lines(now: Timestamp, message: impl fmt::Display) -> String {
    prefixed(&format!("[taskcluster {}]", to_millis(now)), message)
}

/// Formats `[taskcluster:error] message`, which parsers report as the cause of a failure.
pub(super) fn error_lines(message: impl fmt::Display) -> String {
    prefixed("[taskcluster:error]", message)
}

fn prefixed(prefix: &str, message: impl fmt::Display) -> String {
    let message = message.to_string();
    let mut lines = message.lines();
    // An empty message has no lines, but is written as an empty one.
    let first = lines.next().unwrap_or("");
    std::iter::once(first)
        .chain(lines)
        .map(|line| format!("{prefix} {line}\n"))
        .collect()
}

/// Formats a time with exactly three fractional digits of the second, as all Taskcluster services do.
fn to_millis(now: Timestamp) -> String {
    now.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_has_the_prefix() {
        let now: Timestamp = "2024-07-18T16:06:40.3570004Z"
            .parse()
            .expect("a valid timestamp");
        assert_eq!(
            info_lines(now, "hi"),
            "[taskcluster 2024-07-18T16:06:40.357Z] hi\n"
        );
        assert_eq!(
            error_lines("a\nb\n"),
            "[taskcluster:error] a\n[taskcluster:error] b\n"
        );
    }

    #[test]
    fn empty_message_is_a_line() {
        assert_eq!(error_lines(""), "[taskcluster:error] \n");
        assert_eq!(error_lines("\n"), "[taskcluster:error] \n");
    }

    #[test]
    fn trailing_blanks_stay() {
        assert_eq!(error_lines("a \t"), "[taskcluster:error] a \t\n");
        assert_eq!(
            error_lines("a\n \n\n"),
            "[taskcluster:error] a\n[taskcluster:error]  \n[taskcluster:error] \n"
        );
    }

    #[test]
    fn whole_second_has_three_digits() {
        let now: Timestamp = "2024-07-18T16:06:40Z".parse().expect("a valid timestamp");
        assert!(info_lines(now, "hi").starts_with("[taskcluster 2024-07-18T16:06:40.000Z] "));
    }
}
