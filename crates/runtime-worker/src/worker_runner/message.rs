//! The messages of the protocol and their encoding as lines.

use std::fmt;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A received line.
#[derive(Debug)]
pub enum Line<'a> {
    /// A known message.
    Message(FromRunner),
    /// A message of an unknown type, to be ignored.
    Unknown,
    /// Log text, or an invalid message.
    Text(&'a str),
}

/// A message from worker-runner.
#[derive(Deserialize)]
#[serde(
    tag = "type",
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case"
)]
#[non_exhaustive]
pub enum FromRunner {
    /// The first message, with the capabilities of worker-runner.
    Welcome {
        /// The names of capabilities.
        capabilities: Vec<String>,
    },
    /// The worker must stop.
    GracefulTermination {
        /// Whether running tasks may finish.
        finish_tasks: bool,
    },
    /// The credentials have changed.
    NewCredentials {
        /// The client id.
        client_id: String,
        /// The access token.
        access_token: SecretString,
        /// The certificate of temporary credentials.
        #[serde(default)]
        certificate: Option<SecretString>,
    },
    /// A message of an unknown type.
    #[serde(other)]
    Other,
}

/// Omits the credentials.
impl fmt::Debug for FromRunner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Welcome { capabilities } => write!(f, "Welcome({capabilities:?})"),
            Self::GracefulTermination { finish_tasks } => {
                write!(f, "GracefulTermination {{ finish_tasks: {finish_tasks} }}")
            }
            Self::NewCredentials { client_id, .. } => write!(f, "NewCredentials({client_id})"),
            Self::Other => f.write_str("Other"),
        }
    }
}

/// A message to worker-runner.
#[derive(Clone, Debug, Serialize)]
#[serde(
    tag = "type",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
#[non_exhaustive]
pub enum ToRunner {
    /// The reply to `welcome`.
    Hello {
        /// The capabilities of both sides.
        capabilities: Vec<String>,
    },
    /// A line for the log of the machine.
    Log {
        /// `textPayload` and structured fields.
        body: Value,
    },
    /// An error for the operators of the pool.
    ErrorReport(ErrorReport),
    /// A request to shut the machine down.
    Shutdown,
}

/// An error for the operators of the pool. It is public, so it must not contain secrets.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ErrorReport {
    /// The kind of error, such as `worker-error`.
    pub kind: String,
    /// A title of one line.
    pub title: String,
    /// A detailed description.
    pub description: String,
    /// Details for programs: a JSON object.
    pub extra: Value,
}

impl ToRunner {
    /// Returns the capability that both sides need for this message.
    pub(super) fn capability(&self) -> Option<&'static str> {
        match self {
            Self::Hello { .. } => None,
            Self::Log { .. } => Some("log"),
            Self::ErrorReport(_) => Some("error-report"),
            Self::Shutdown => Some("shutdown"),
        }
    }

    /// Encodes the message as a line, with a line feed.
    #[must_use]
    pub fn to_line(&self) -> String {
        // Strings, lists and JSON values always serialize, and compact JSON contains no line feed.
        let json = serde_json::to_string(self).unwrap_or_default();
        format!("~{json}\n")
    }
}

/// Parses a line, with or without a line feed.
///
/// ```
/// # use runtime_worker::worker_runner::{FromRunner, Line, parse_line};
/// let line = parse_line(r#"~{"type":"graceful-termination","finish-tasks":true}"#);
/// assert!(matches!(line, Line::Message(FromRunner::GracefulTermination { finish_tasks: true })));
/// assert!(matches!(parse_line("starting up"), Line::Text("starting up")));
/// ```
#[must_use]
pub fn parse_line(line: &str) -> Line<'_> {
    let line = line.trim_end_matches(['\r', '\n']);
    // The protocol requires both marks. Any other line is log text, even if it contains JSON.
    let json = line.strip_prefix('~').filter(|json| json.ends_with('}'));
    match json.map(serde_json::from_str) {
        Some(Ok(FromRunner::Other)) => Line::Unknown,
        Some(Ok(message)) => Line::Message(message),
        Some(Err(_)) | None => Line::Text(line),
    }
}
