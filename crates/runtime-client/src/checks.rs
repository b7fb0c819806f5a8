//! Checks of a deployment and of a worker's credentials, for the time before the worker claims.
//!
//! A worker with a wrong root URL or token would retry for minutes, and its operator would have to guess why. These checks
//! send each request once, and have advice for each problem.
//!
//! ```no_run
//! use runtime_client::checks::{ConnectionCheck, ConnectionChecks};
//!
//! # async fn check() -> Result<(), Box<dyn std::error::Error>> {
//! let checks = ConnectionChecks::new("https://tc.example.com")?;
//! for check in checks.deployment().await {
//!     println!("{check}"); // `ok: ...`, `warning: ...; advice` or `failed: ...; advice`.
//! }
//! # Ok(())
//! # }
//! ```

use std::fmt;
use std::time::Duration;

use runtime_core::util::error_sources;
use runtime_core::{ApiError, CredentialsWatch, ScopeSet, WorkerIdentity, error_chain};

use crate::client_error::ClientError;
use crate::deployment::TaskclusterDeployment;
use crate::settings::ClientSettings;

/// The time limit of a request. A worker that starts should not wait longer for a response.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// The result of a check. `Display` shows it in one line.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectionCheck {
    /// The check found no problem.
    Passed(String),
    /// The worker can claim, now or when the deployment has recovered.
    Warning(ConnectionProblem),
    /// The worker cannot claim.
    Failed(ConnectionProblem),
}

impl ConnectionCheck {
    /// Returns the problem that prevents the worker from claiming.
    #[must_use]
    pub fn failure(&self) -> Option<&ConnectionProblem> {
        match self {
            Self::Failed(problem) => Some(problem),
            _ => None,
        }
    }
}

impl fmt::Display for ConnectionCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed(text) => write!(f, "ok: {text}"),
            Self::Warning(problem) => write!(f, "warning: {problem}"),
            Self::Failed(problem) => write!(f, "failed: {problem}"),
        }
    }
}

/// A problem of a connection and its remedy. `Display` shows both.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionProblem {
    /// The problem, with its cause.
    pub text: String,
    /// The remedy.
    pub advice: &'static str,
}

impl fmt::Display for ConnectionProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.text, self.advice)
    }
}

/// Checks the connection to a deployment. Each request is sent once and takes at most ten seconds.
#[derive(Clone, Debug)]
pub struct ConnectionChecks {
    deployment: TaskclusterDeployment,
    root_url: String,
}

impl ConnectionChecks {
    /// Creates the checks of the deployment with this root URL.
    ///
    /// # Errors
    ///
    /// A [`ClientError`] if the root URL is invalid or the machine has no root certificates.
    pub fn new(root_url: &str) -> Result<Self, ClientError> {
        let mut settings = ClientSettings::default();
        settings.retry.budget = Duration::ZERO;
        settings.request_timeout = REQUEST_TIMEOUT;
        settings.connect_timeout = REQUEST_TIMEOUT;
        settings.credentials_wait = Duration::ZERO;
        Ok(Self {
            deployment: TaskclusterDeployment::with_settings(root_url, settings)?,
            root_url: root_url.to_owned(),
        })
    }

    /// Checks that the root URL leads to a deployment, and compares the clocks.
    ///
    /// # Cancel safety
    ///
    /// Safe: the call has no effect.
    pub async fn deployment(&self) -> Vec<ConnectionCheck> {
        let root_url = &self.root_url;
        let client = self.deployment.client(CredentialsWatch::fixed(None));
        match client.ping().await {
            Ok(()) => vec![
                ConnectionCheck::Passed(format!("{root_url} is a Taskcluster deployment")),
                self.clock(),
            ],
            Err(error) => {
                let text = format!("cannot reach {root_url}: {}", cause(&error));
                vec![failed(&error, text, connection_advice(&error))]
            }
        }
    }

    /// Compares the clocks. The client signs with the time of the services, so a difference does not prevent claims.
    fn clock(&self) -> ConnectionCheck {
        let offset = self.deployment.clock_offset();
        let direction = match offset.signum() {
            0 => {
                let text = "the clock agrees with that of the deployment";
                return ConnectionCheck::Passed(text.to_owned());
            }
            1 => "behind",
            _ => "ahead of",
        };
        let seconds = offset.unsigned_abs().as_secs();
        let (minutes, seconds) = (seconds / 60, seconds % 60);
        ConnectionCheck::Warning(ConnectionProblem {
            text: format!(
                "the clock of this machine is {minutes} min {seconds} s {direction} that of the deployment"
            ),
            advice: "set it, for example with `timedatectl set-ntp true`: times in logs and caches are wrong",
        })
    }

    /// Checks that the services accept the credentials, and that these have the scopes of a worker.
    ///
    /// Returns no checks if there are no credentials yet, as under worker-runner.
    ///
    /// # Cancel safety
    ///
    /// Safe: the call has no effect.
    pub async fn credentials(
        &self,
        credentials: &CredentialsWatch,
        identity: &WorkerIdentity,
    ) -> Vec<ConnectionCheck> {
        let Some(snapshot) = credentials.snapshot() else {
            return Vec::new();
        };
        let client_id = &snapshot.client_id;
        let client = self.deployment.client(credentials.clone());
        match client.current_scopes().await {
            Ok(scopes) => {
                let text = format!("the deployment accepts the credentials of `{client_id}`");
                let accepted = ConnectionCheck::Passed(text);
                let (claiming, purging) = check_scopes(client_id, &scopes, identity);
                [accepted, claiming].into_iter().chain(purging).collect()
            }
            Err(error) => {
                let cause = cause(&error);
                let text = format!("cannot use the credentials of `{client_id}`: {cause}");
                let is_refused = matches!(error.status(), Some(401 | 403));
                // A certificate that cannot be read prevents a signature.
                let advice = if is_refused || matches!(error, ApiError::Request { .. }) {
                    "check client id, access token and, for temporary credentials, certificate and expiry"
                } else {
                    connection_advice(&error)
                };
                vec![failed(&error, text, advice)]
            }
        }
    }
}

/// Returns a warning for an error of the deployment itself: the worker can wait for its end.
fn failed(error: &ApiError, text: String, advice: &'static str) -> ConnectionCheck {
    let problem = ConnectionProblem { text, advice };
    if error.status().is_some() && error.is_transient() {
        ConnectionCheck::Warning(problem)
    } else {
        ConnectionCheck::Failed(problem)
    }
}

/// Checks the scopes that claiming needs, and the one without which a worker ignores requests to purge caches.
fn check_scopes(
    client_id: &str,
    scopes: &ScopeSet,
    identity: &WorkerIdentity,
) -> (ConnectionCheck, Option<ConnectionCheck>) {
    let WorkerIdentity {
        task_queue_id,
        worker_group,
        worker_id,
        ..
    } = identity;
    let problem = |consequence: &str, needed: &[String]| {
        let missing = needed.iter().filter(|scope| !scopes.satisfies(scope));
        let missing: Vec<_> = missing.map(|scope| format!("`{scope}`")).collect();
        let missing = (!missing.is_empty()).then(|| missing.join(" and "))?;
        Some(ConnectionProblem {
            text: format!("`{client_id}` {consequence}: missing scope {missing}"),
            advice: "add it to a role of the client, or use another client",
        })
    };
    let claiming = problem(
        &format!("may not claim from `{task_queue_id}`"),
        &[
            format!("queue:claim-work:{task_queue_id}"),
            format!("queue:worker-id:{worker_group}/{worker_id}"),
        ],
    );
    let purging = problem(
        "may not read requests to purge caches, which are ignored",
        &[format!("purge-cache:purge-requests::{task_queue_id}")],
    );
    let passed =
        || ConnectionCheck::Passed(format!("`{client_id}` may claim from `{task_queue_id}`"));
    (
        claiming.map_or_else(passed, ConnectionCheck::Failed),
        purging.map(ConnectionCheck::Warning),
    )
}

/// Returns the reason of an error. For a failed connection that is the last cause; those before it name layers of the
/// HTTP client.
fn cause(error: &ApiError) -> String {
    match error {
        ApiError::Unreachable { .. } | ApiError::Tls { .. } => {
            let last = error_sources(error).last();
            last.map_or_else(String::new, ToString::to_string)
        }
        _ => error_chain(error),
    }
}

/// Returns the remedy of a failed connection.
fn connection_advice(error: &ApiError) -> &'static str {
    match error {
        ApiError::Tls { .. } => "the cause is a certificate, a TLS proxy or the clock",
        ApiError::Unexpected { .. } => {
            "the server is not a Taskcluster deployment: check the root URL"
        }
        ApiError::Service(error) if error.status == 404 => {
            "the server is not a Taskcluster deployment: check the root URL"
        }
        ApiError::Service(_) => "see the status of the deployment",
        _ if error_chain(error).contains("dns error") => {
            "check the spelling of the host in the root URL, and the DNS settings of this machine"
        }
        _ => "check host and port of the root URL, and whether a firewall or proxy is between",
    }
}
