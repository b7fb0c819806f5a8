//! What goes to a task's log: its output, and the lines of the worker itself.

use std::fmt;

use jiff::Timestamp;
use runtime_ioext::log::{OutputLimit, OutputLimitWriter, RedactingWriter, Redactor};

/// Where the output of a task goes on its way to the log. Secrets are replaced, and what is over the limit
/// is dropped from the middle. Clones are for other streams of the same task.
pub type LogDrain = RedactingWriter<OutputLimitWriter>;

/// What is kept out of a task's log.
#[derive(Clone, Debug, Default)]
pub struct LogOptions {
    /// The secrets to replace, to which more can be added while the task runs. The credentials of the run
    /// are added by themselves.
    pub redactor: Redactor,
    /// How much the task may write; there is no limit by default. The worker's own lines do not count.
    pub output_limit: OutputLimit,
}

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
