//! Identifiers of tasks, runs and workers.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

/// The identifier of a task: a slugid, 22 characters of URL-safe base64 over a version 4 UUID.
///
/// ```
/// # use runtime_core::TaskId;
/// let id: TaskId = "RmzTkg-8Qj614ea9fI9Jmg".parse()?;
/// assert_eq!(id.as_str(), "RmzTkg-8Qj614ea9fI9Jmg");
/// assert!("../../etc/passwd".parse::<TaskId>().is_err());
/// # Ok::<(), runtime_core::ParseTaskIdError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TaskId(String);

impl TaskId {
    /// Creates an identifier from 122 random bits.
    ///
    /// As in other Taskcluster clients, the first bit is cleared, so that an identifier never starts with
    /// a dash, which programs would parse as an option.
    #[must_use]
    pub fn random() -> Self {
        let mut bytes = *uuid::Uuid::new_v4().as_bytes();
        bytes[0] &= 0x7f;
        Self(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Returns the identifier as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TaskId {
    type Err = ParseTaskIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok();
        match bytes.as_deref() {
            // The queue's schema requires version 4 (seventh byte) and variant 10 (ninth byte).
            Some(uuid) if uuid.len() == 16 && uuid[6] >> 4 == 4 && uuid[8] >> 6 == 0b10 => {
                Ok(Self(text.to_owned()))
            }
            _ => Err(ParseTaskIdError {
                text: text.to_owned(),
            }),
        }
    }
}

impl TryFrom<String> for TaskId {
    type Error = ParseTaskIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<TaskId> for String {
    fn from(id: TaskId) -> Self {
        id.0
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The error of parsing a [`TaskId`].
#[derive(Debug, thiserror::Error)]
#[error(
    "invalid task id `{text}`: expected a slugid of 22 characters, such as `RmzTkg-8Qj614ea9fI9Jmg`"
)]
#[non_exhaustive]
pub struct ParseTaskIdError {
    /// The invalid text.
    pub text: String,
}

/// A run of a task. Runs, not tasks, are claimed and resolved.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Run {
    /// The task.
    pub task_id: TaskId,
    /// The index of the run, starting at 0.
    pub run_id: u32,
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.task_id, self.run_id)
    }
}

/// The identity of a worker in its deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerIdentity {
    /// The root URL of the deployment, such as `https://tc.example.com`, without a trailing slash.
    pub root_url: String,
    /// The task queue that the worker claims from: `<provisionerId>/<workerType>`.
    pub task_queue_id: String,
    /// The worker group, such as a region; at most 38 characters.
    pub worker_group: String,
    /// The worker id, unique among the live workers of the group; at most 38 characters.
    pub worker_id: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_id_is_valid() {
        for _ in 0..200 {
            let id = TaskId::random();
            assert_eq!(
                id.as_str().parse::<TaskId>().expect("random ids are valid"),
                id
            );
            assert!(!id.as_str().starts_with('-'));
        }
    }

    #[test]
    fn invalid_id_is_quoted() {
        for text in [
            "",
            "short",
            "RmzTkg-8Aj614ea9fI9Jmg",
            "RmzTkg-8Qj614ea9fI9Jmg1",
            "RmzTkg-8Qj614ea9fI9J/g",
        ] {
            let err = text.parse::<TaskId>().expect_err(text);
            assert!(err.to_string().contains(&format!("`{text}`")), "{err}");
        }
    }
}
