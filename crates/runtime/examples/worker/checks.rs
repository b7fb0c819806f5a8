//! Checks of a deployment and of the worker's credentials before the worker claims.
//!
//! Without them, a worker with a wrong root URL or token would retry for minutes, and its operator would have to guess why.

use std::fmt;
use std::time::Duration;

use anyhow::Result;
use runtime::client::{ClientError, ClientSettings, TaskclusterDeployment};
use runtime::util::error_sources;
use runtime::{ApiError, CredentialsWatch, ScopeSet, WorkerIdentity, error_chain};

/// The time limit of a request. A worker that starts should not wait longer for an answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// A passed check, or a problem with advice.
#[derive(Debug)]
pub(crate) enum Check {
    Passed(String),
    /// The worker can claim, but should not stay like this.
    Warning(Problem),
    /// The worker cannot claim.
    Failed(Problem),
}

impl Check {
    pub(crate) fn is_failed(&self) -> bool {
        matches!(self, Self::Failed(_))
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed(text) => write!(f, "ok: {text}"),
            Self::Warning(problem) => write!(f, "warning: {problem}"),
            Self::Failed(problem) => write!(f, "failed: {problem}"),
        }
    }
}

/// A problem and its remedy.
#[derive(Debug)]
pub(crate) struct Problem {
    text: String,
    advice: String,
}

impl Problem {
    fn new(text: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            advice: advice.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.text, self.advice)
    }
}

/// A deployment whose calls are sent once, for checks.
pub(crate) struct ConnectionChecks {
    deployment: TaskclusterDeployment,
    root_url: String,
}

impl ConnectionChecks {
    pub(crate) fn new(root_url: &str) -> Result<Self, ClientError> {
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
    pub(crate) async fn deployment(&self) -> Vec<Check> {
        let root_url = &self.root_url;
        let client = self.deployment.client(CredentialsWatch::fixed(None));
        match client.ping().await {
            Ok(()) => vec![
                Check::Passed(format!("{root_url} is a Taskcluster deployment")),
                self.clock(),
            ],
            Err(error) => {
                let text = format!("cannot reach {root_url}: {}", cause(&error));
                vec![failed(
                    &error,
                    Problem::new(text, connection_advice(&error)),
                )]
            }
        }
    }

    /// Compares the clocks. The client signs with the time of the services, so a difference is not fatal.
    fn clock(&self) -> Check {
        let offset = self.deployment.clock_offset();
        let direction = match offset.signum() {
            0 => return Check::Passed("the clock agrees with that of the deployment".to_owned()),
            1 => "behind",
            _ => "ahead of",
        };
        let seconds = offset.unsigned_abs().as_secs();
        let text = format!(
            "the clock of this machine is {} min {} s {direction} that of the deployment",
            seconds / 60,
            seconds % 60
        );
        let advice = "set it, for example with `timedatectl set-ntp true`: times in logs and caches are wrong";
        Check::Warning(Problem::new(text, advice))
    }

    /// Checks that the services accept the credentials, and that these have the scopes of a worker.
    pub(crate) async fn credentials(
        &self,
        credentials: &CredentialsWatch,
        identity: &WorkerIdentity,
    ) -> Vec<Check> {
        let snapshot = credentials.snapshot();
        let Some(client_id) = snapshot.map(|it| it.client_id.clone()) else {
            // Worker-runner sends them later.
            return Vec::new();
        };
        let client = self.deployment.client(credentials.clone());
        match client.current_scopes().await {
            Ok(scopes) => {
                let accepted = format!("the deployment accepts the credentials of `{client_id}`");
                let mut checks = vec![Check::Passed(accepted)];
                checks.extend(check_scopes(&client_id, &scopes, identity));
                checks
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
                vec![failed(&error, Problem::new(text, advice))]
            }
        }
    }
}

/// Returns a warning for an error of the deployment itself: the worker can wait for its end.
fn failed(error: &ApiError, problem: Problem) -> Check {
    if error.status().is_some() && error.is_transient() {
        Check::Warning(problem)
    } else {
        Check::Failed(problem)
    }
}

/// Checks the scopes that claiming needs, and those without which the worker ignores purge requests.
fn check_scopes(client_id: &str, scopes: &ScopeSet, identity: &WorkerIdentity) -> Vec<Check> {
    let WorkerIdentity {
        task_queue_id,
        worker_group,
        worker_id,
        ..
    } = identity;
    let missing = |needed: &[String]| {
        let missing = needed.iter().filter(|scope| !scopes.satisfies(scope));
        let missing: Vec<_> = missing.map(|scope| format!("`{scope}`")).collect();
        (!missing.is_empty()).then(|| missing.join(" and "))
    };
    let claiming = missing(&[
        format!("queue:claim-work:{task_queue_id}"),
        format!("queue:worker-id:{worker_group}/{worker_id}"),
    ]);
    let purging = missing(&[format!("purge-cache:purge-requests::{task_queue_id}")]);
    let advice = "add it to a role of the client, or use another client";
    let claiming = match claiming {
        None => Check::Passed(format!("`{client_id}` may claim from `{task_queue_id}`")),
        Some(missing) => Check::Failed(Problem::new(
            format!("`{client_id}` may not claim from `{task_queue_id}`: missing scope {missing}"),
            advice,
        )),
    };
    let purging = purging.map(|missing| {
        let text = format!(
            "`{client_id}` may not read requests to purge caches, which are ignored: missing scope {missing}"
        );
        Check::Warning(Problem::new(text, advice))
    });
    [claiming].into_iter().chain(purging).collect()
}

/// Returns the reason of an error. For a failed connection that is the last cause; the ones before it name layers of the
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
