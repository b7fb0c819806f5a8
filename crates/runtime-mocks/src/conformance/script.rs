//! The steps of a task of a suite.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

/// A step of a task. Paths are relative to the folder of the task.
///
/// A step that fails prints an error, and the next one follows.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Step {
    /// Prints a line.
    Print(String),
    /// Prints a line to the standard error.
    PrintError(String),
    /// Prints text without a line feed.
    PrintText(String),
    /// Prints the value of an environment variable, or an empty line.
    PrintEnv(String),
    /// Writes the value of an environment variable to a file.
    SaveEnv {
        /// The name of the variable.
        variable: String,
        /// The file.
        path: String,
    },
    /// Prints the lines `line 1`, `line 2` and so on, up to this number.
    PrintLines(u32),
    /// Prints the names of the entries of a folder.
    List(String),
    /// Prints the content of a file.
    Read(String),
    /// Creates or replaces a file.
    Write {
        /// The file.
        path: String,
        /// The content.
        text: String,
    },
    /// Creates a folder and its missing parents.
    MakeFolder(String),
    /// Creates a symbolic link.
    Link {
        /// The link.
        path: String,
        /// The target, relative to the folder of the link.
        target: String,
    },
    /// Copies the standard input to the standard output.
    Echo,
    /// Prints `terminal` if the standard input is a terminal, and `pipe` otherwise.
    PrintInputKind,
    /// Requests `/some/path?query` below the URL in an environment variable, and prints the response.
    Request(String),
    /// Leaves a process in the background that holds the output open.
    LeaveProcess,
    /// Allocates this number of bytes and frees them soon afterwards. Fails the task if that is impossible.
    UseMemory(u64),
    /// Starts this number of processes, and fails the task if that is impossible.
    StartProcesses(u32),
    /// Ignores the signals that request a termination.
    IgnoreSignals,
    /// Waits until the task is killed.
    Wait,
    /// Ends the task with an exit code.
    Exit(i32),
    /// Ends the task by `SIGKILL`.
    Die,
}

/// The request of [`Step::Request`], as its handler receives the path.
pub(super) const REQUEST_PATH: &str = "/some/path?query";

/// Returns a shell script with these steps, for `sh -c`. [`Step::Request`] needs `bash`.
#[must_use]
pub fn shell_script(steps: &[Step]) -> String {
    let mut script = String::new();
    for step in steps {
        // Writing to a string does not fail.
        let _ = match step {
            Step::Print(text) => writeln!(script, "printf '%s\\n' {}", quoted(text)),
            Step::PrintError(text) => writeln!(script, "printf '%s\\n' {} >&2", quoted(text)),
            Step::PrintText(text) => writeln!(script, "printf '%s' {}", quoted(text)),
            Step::PrintEnv(name) => writeln!(script, "printf '%s\\n' \"${{{name}-}}\""),
            Step::SaveEnv { variable, path } => {
                writeln!(
                    script,
                    "printf '%s' \"${{{variable}-}}\" > {}",
                    quoted(path)
                )
            }
            Step::PrintLines(count) => writeln!(
                script,
                "i=1; while [ $i -le {count} ]; do echo \"line $i\"; i=$((i + 1)); done"
            ),
            Step::List(path) => writeln!(script, "ls -A {}", quoted(path)),
            Step::Read(path) => writeln!(script, "cat {}", quoted(path)),
            Step::Write { path, text } => {
                writeln!(script, "printf '%s' {} > {}", quoted(text), quoted(path))
            }
            Step::MakeFolder(path) => writeln!(script, "mkdir -p {}", quoted(path)),
            Step::Link { path, target } => {
                writeln!(script, "ln -s {} {}", quoted(target), quoted(path))
            }
            Step::Echo => writeln!(script, "cat"),
            Step::PrintInputKind => writeln!(script, "[ -t 0 ] && echo terminal || echo pipe"),
            Step::Request(variable) => writeln!(script, "bash -c '{REQUEST}' - \"${variable}\""),
            Step::LeaveProcess => writeln!(script, "sleep 600 &"),
            // Without a line feed, `tail` keeps everything.
            Step::UseMemory(bytes) => writeln!(
                script,
                "head -c {bytes} /dev/zero | tail > /dev/null || exit 1"
            ),
            Step::StartProcesses(count) => writeln!(
                script,
                "i=0; while [ $i -lt {count} ]; do sleep 600 & i=$((i + 1)); done"
            ),
            Step::IgnoreSignals => writeln!(script, "trap '' INT TERM HUP"),
            Step::Wait => writeln!(script, "sleep 600"),
            Step::Exit(code) => writeln!(script, "exit {code}"),
            Step::Die => writeln!(script, "kill -9 $$"),
        };
    }
    script
}

/// Sends a request with `bash` alone, so that the machine needs no HTTP client such as curl.
const REQUEST: &str = r#"url=${1#http://}; host=${url%%/*}; exec 3<>"/dev/tcp/${host%:*}/${host##*:}"; printf "GET /%s/some/path?query HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" "${url#*/}" "$host" >&3; cat <&3"#;

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_quoted() {
        let script = shell_script(&[Step::Print("it's $HOME".to_owned())]);
        assert_eq!(script, "printf '%s\\n' 'it'\\''s $HOME'\n");
    }
}
