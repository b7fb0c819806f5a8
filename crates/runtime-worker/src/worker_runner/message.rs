//! The messages of the protocol, and the lines that carry them.

use std::fmt;

use runtime_core::Credentials;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A line that came in.
#[derive(Debug)]
pub enum Line<'a> {
    /// A message that this worker knows.
    Message(FromRunner),
    /// A message of a type that this worker does not know, to be ignored.
    Unknown,
    /// Log text, or what was meant to be a message and is none.
    Text(&'a str),
}

/// What worker-runner says.
#[derive(Deserialize)]
#[serde(
    tag = "type",
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case"
)]
#[non_exhaustive]
pub enum FromRunner {
    /// The first message: what worker-runner can do.
    Welcome {
        /// Names of messages.
        capabilities: Vec<String>,
    },
    /// The worker must go.
    GracefulTermination {
        /// Whether running tasks may finish.
        finish_tasks: bool,
    },
    /// Others than before.
    NewCredentials {
        /// Names the client.
        client_id: String,
        /// Signs requests.
        access_token: SecretString,
        /// Comes with temporary credentials.
        #[serde(default)]
        certificate: Option<SecretString>,
    },
    /// Anything that is new since.
    #[serde(other)]
    Other,
}

/// Shows no credentials.
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

/// What the worker says.
#[derive(Clone, Debug, Serialize)]
#[serde(
    tag = "type",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
#[non_exhaustive]
pub enum ToRunner {
    /// The answer to `welcome`.
    Hello {
        /// What both sides can do.
        capabilities: Vec<String>,
    },
    /// A line for the log of the machine.
    Log {
        /// `textPayload` and whatever else describes it.
        body: Value,
    },
    /// A problem for the people who run the pool.
    ErrorReport(ErrorReport),
    /// Turn this machine off.
    Shutdown,
}

/// A problem for the people who run the pool. Everybody can read it: leave out what is secret.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ErrorReport {
    /// What kind, such as `worker-error`.
    pub kind: String,
    /// One line.
    pub title: String,
    /// All that helps.
    pub description: String,
    /// More for programs: a JSON object.
    pub extra: Value,
}

impl ToRunner {
    /// The capability that worker-runner must have for this.
    pub(super) fn capability(&self) -> Option<&'static str> {
        match self {
            Self::Hello { .. } => None,
            Self::Log { .. } => Some("log"),
            Self::ErrorReport(_) => Some("error-report"),
            Self::Shutdown => Some("shutdown"),
        }
    }

    /// The line that carries the message, with its end.
    #[must_use]
    pub fn to_line(&self) -> String {
        // Strings, lists and JSON values always serialize, and JSON holds no raw line break.
        let json = serde_json::to_string(self).unwrap_or_default();
        format!("~{json}\n")
    }
}

/// Reads a line, with or without its end.
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
    let json = line.strip_prefix('~').filter(|json| json.ends_with('}'));
    match json.map(serde_json::from_str) {
        Some(Ok(FromRunner::Other)) => Line::Unknown,
        Some(Ok(message)) => Line::Message(message),
        Some(Err(_)) | None => Line::Text(line),
    }
}

/// The credentials of a message.
pub(super) fn credentials(
    client_id: String,
    access_token: SecretString,
    certificate: Option<SecretString>,
) -> Credentials {
    Credentials {
        client_id,
        access_token,
        certificate,
        expires: None,
    }
}
