//! The lines that the worker itself writes to a task's log.

use std::fmt;

use jiff::Timestamp;

/// `[taskcluster 2024-07-18T16:06:40.357Z] message`, as parsers of task logs expect it.
///
/// A message of many lines gets the prefix on each, since parsers look at lines.
pub(super) fn info_lines(now: Timestamp, message: impl fmt::Display) -> String {
    prefixed(&format!("[taskcluster {}]", to_millis(now)), message)
}

/// `[taskcluster:error] message`: only for what decides the result, since parsers report it as the failure.
pub(super) fn error_lines(message: impl fmt::Display) -> String {
    prefixed("[taskcluster:error]", message)
}

fn prefixed(prefix: &str, message: impl fmt::Display) -> String {
    let message = message.to_string();
    message
        .trim_end()
        .lines()
        .map(|line| format!("{prefix} {line}\n"))
        .collect()
}

/// Three digits after the second, always, as in all timestamps of Taskcluster.
fn to_millis(now: Timestamp) -> String {
    now.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_the_prefix_that_parsers_match() {
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
    fn a_whole_second_still_has_three_digits() {
        let now: Timestamp = "2024-07-18T16:06:40Z".parse().expect("a valid timestamp");
        assert!(info_lines(now, "hi").starts_with("[taskcluster 2024-07-18T16:06:40.000Z] "));
    }
}
