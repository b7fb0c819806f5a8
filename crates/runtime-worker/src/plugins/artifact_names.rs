//! The rules for the names and content types of artifacts.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::{MAIN_SEPARATOR, Path};

use runtime_core::MalformedPayloadError;
use serde_json::Value;

/// The redirect to the log of a running task, and later the link to its artifact.
pub(super) const LIVE_LOG: &str = "public/logs/live.log";

/// The artifact with the log of a task.
pub(super) const BACKING_LOG: &str = "public/logs/live_backing.log";

/// The names that the log of a task needs.
pub(super) const LOG_ARTIFACTS: [&str; 2] = [LIVE_LOG, BACKING_LOG];

/// The problem of another artifact with one of these names.
pub(super) const NAME_OF_LOG: &str = "this name belongs to the log of the task";

/// The longest content type that the queue accepts.
const MAX_CONTENT_TYPE: usize = 255;

/// Checks the rules that the schema of `artifacts` cannot express. Values of a wrong type are ignored, because the
/// schema rejects them.
pub(super) fn check_artifacts(payload: &Value) -> Result<(), MalformedPayloadError> {
    let mut problems = Vec::new();
    let mut names = HashSet::new();
    let entries = payload["artifacts"].as_array().into_iter().flatten();
    for (index, entry) in entries.enumerate() {
        let mut reject = |key: &str, problem: &str| {
            let message = format!("`payload.artifacts.{index}.{key}`: {problem}");
            problems.push(MalformedPayloadError::new(message));
        };
        let is_file = entry["type"] == "file";
        if let Some(name) = entry["name"].as_str() {
            if let Some(problem) = name_problem(name) {
                reject("name", problem);
            } else if is_file && LOG_ARTIFACTS.contains(&name) {
                reject("name", NAME_OF_LOG);
            } else if is_file && !names.insert(name) {
                reject("name", "another entry has the same name");
            }
        }
        let content_type = entry["contentType"].as_str();
        if content_type.is_some_and(|it| !is_content_type(it)) {
            reject(
                "contentType",
                "expected a MIME type of at most 255 printable ASCII characters, such as `text/plain`",
            );
        }
    }
    MalformedPayloadError::merge(problems).map_or(Ok(()), Err)
}

/// Returns the reason why the queue or its storage would refuse a name.
fn name_problem(name: &str) -> Option<&'static str> {
    if !name.bytes().all(is_printable) {
        return Some("names of artifacts consist of printable ASCII characters");
    }
    // A storage resolves these in the path of a URL, so that its signature does not fit.
    let is_relative = |segment: &str| matches!(segment, "." | "..");
    name.split('/')
        .any(is_relative)
        .then_some("names of artifacts must not contain the segments `.` and `..`")
}

fn is_content_type(text: &str) -> bool {
    (1..=MAX_CONTENT_TYPE).contains(&text.len()) && text.bytes().all(is_printable)
}

fn is_printable(byte: u8) -> bool {
    (0x20..=0x7e).contains(&byte)
}

/// Guesses the MIME type from the name. Unknown extensions are served as bytes, which browsers download.
pub(super) fn content_type_of(name: &str) -> &'static str {
    mime_guess::from_path(name)
        .first_raw()
        .unwrap_or("application/octet-stream")
}

/// Returns the name of the artifact of a file with this path relative to the folder of its entry.
///
/// The queue accepts only printable ASCII, so other bytes are percent-encoded. File names of Unix are bytes in any
/// encoding.
pub(super) fn artifact_name(prefix: &str, relative: &Path) -> String {
    let mut name = format!("{prefix}/");
    for &byte in relative.as_os_str().as_encoded_bytes() {
        if char::from(byte) == MAIN_SEPARATOR {
            name.push('/');
        } else if is_printable(byte) {
            name.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(name, "%{byte:02X}");
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[cfg(unix)]
    #[test]
    fn other_bytes_are_percent_encoded() {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt as _;

        for (bytes, expected) in [
            ("sub/\u{e4}.txt".as_bytes(), "out/sub/%C3%A4.txt"),
            (b"latin-\xe4", "out/latin-%E4"),
            (b"tab\t and line\n", "out/tab%09 and line%0A"),
            (b"100%", "out/100%"),
        ] {
            let path = Path::new(OsStr::from_bytes(bytes));
            assert_eq!(artifact_name("out", path), expected);
        }
    }

    fn problem(entry: Value) -> String {
        let other = json!({ "name": "public/used", "type": "file", "path": "x" });
        let checked = check_artifacts(&json!({ "artifacts": [other, entry] }));
        checked.map_or_else(|error| error.messages().join("\n"), |()| String::new())
    }

    #[test]
    fn mistakes_are_named() {
        let file = |name: &str| json!({ "name": name, "type": "file", "path": "x" });
        for (entry, expected) in [
            (
                file("public/\u{e4}"),
                "`payload.artifacts.1.name`: names of artifacts consist of printable ASCII characters",
            ),
            (
                file("public/../a"),
                "`payload.artifacts.1.name`: names of artifacts must not contain the segments `.` and `..`",
            ),
            (
                file("public/used"),
                "`payload.artifacts.1.name`: another entry has the same name",
            ),
            (
                file(LIVE_LOG),
                "`payload.artifacts.1.name`: this name belongs to the log of the task",
            ),
            (
                json!({ "name": "a", "contentType": "text/plain\r\nx: y" }),
                "`payload.artifacts.1.contentType`: expected a MIME type of at most 255 printable ASCII characters, such as `text/plain`",
            ),
            (file("public/..a/.b/c.."), ""),
            (json!({ "name": 7, "contentType": null }), ""),
            (json!({ "name": "public/used", "type": "directory" }), ""),
        ] {
            assert_eq!(problem(entry), expected);
        }
    }
}
