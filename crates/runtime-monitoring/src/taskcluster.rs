//! What services of Taskcluster do for monitoring: the auth service has DSNs for Sentry, and worker-manager shows errors of
//! workers to the people who run their pool.

use std::time::Duration;

use async_trait::async_trait;
use runtime_client::{Client, WorkerError, WorkerName};
use runtime_core::error_chain;
use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::TARGET;
use crate::incidents::{Delivery, Incident, IncidentQueue, IncidentTransport};

/// How errors are reported to worker-manager.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct WorkerManagerConfig {
    /// How many errors wait at most; then they are dropped and counted.
    pub queue: usize,
}

impl Default for WorkerManagerConfig {
    fn default() -> Self {
        Self { queue: 1000 }
    }
}

/// Starts to report incidents to worker-manager, by `reportWorkerError`, as errors of `worker`.
///
/// Everybody can read what is reported so; an [`Incident`] holds no secrets that its redactor knew. At most `queue`
/// incidents wait; then they are dropped and counted. A worker under worker-runner sends [`error_report`](crate::error_report)
/// instead.
///
/// # Panics
///
/// Outside of a tokio runtime.
pub fn report_to_worker_manager(client: Client, worker: WorkerName, queue: usize) -> IncidentQueue {
    let service = WorkerManager {
        client,
        worker,
        has_complained: false,
    };
    IncidentQueue::start(queue, service)
}

struct WorkerManager {
    client: Client,
    worker: WorkerName,
    /// Whether the log tells already that errors cannot be reported.
    has_complained: bool,
}

#[async_trait]
impl IncidentTransport for WorkerManager {
    async fn deliver(&mut self, incident: &Incident) -> Delivery {
        let error = WorkerError {
            kind: Incident::KIND.to_owned(),
            title: incident.title().to_owned(),
            description: incident.description(),
            extra: incident.extra(),
        };
        let Err(error) = self.client.report_worker_error(&self.worker, &error).await else {
            self.has_complained = false;
            return Delivery::Delivered;
        };
        if !std::mem::replace(&mut self.has_complained, true) {
            warn!(target: TARGET, "cannot report errors to worker-manager: {}", error_chain(&error));
        }
        match error.is_transient() {
            true => Delivery::Later(Duration::ZERO),
            false => Delivery::Refused,
        }
    }
}

/// The DSNs of the auth service, which work for a day.
#[cfg(feature = "sentry")]
#[async_trait]
impl crate::DsnSource for Client {
    async fn dsn(&self, project: Option<&str>) -> Result<crate::Dsn, runtime_core::BoxError> {
        let project =
            project.ok_or("the auth service has DSNs by `project`, which is not configured")?;
        let answer = self.sentry_dsn(project).await?;
        Ok(crate::Dsn {
            dsn: answer.dsn.into(),
            expires: Some(answer.expires),
        })
    }
}
