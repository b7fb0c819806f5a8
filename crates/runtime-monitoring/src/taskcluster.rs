//! Error reports to worker-manager, and Sentry DSNs from the auth service.

use std::time::Duration;

use async_trait::async_trait;
use runtime_client::{Client, WorkerErrorReport, WorkerName};
use runtime_core::error_chain;
use serde::{Deserialize, Serialize};

use crate::failure_log::FailureLog;
use crate::incidents::{Delivery, Incident, IncidentQueue, IncidentTransport};

/// The configuration of error reports to worker-manager.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct WorkerManagerConfig {
    /// The maximum number of waiting errors. Further ones are dropped and counted.
    pub queue: usize,
}

impl Default for WorkerManagerConfig {
    fn default() -> Self {
        Self { queue: 1000 }
    }
}

/// Starts reporting incidents to worker-manager as errors of `worker`, by `reportWorkerError`.
///
/// These reports are public. An [`Incident`] contains no secrets known to its redactor. At most `queue` incidents wait;
/// further ones are dropped and counted. A worker started by worker-runner sends [`error_report`](crate::error_report)
/// instead.
///
/// # Panics
///
/// Outside of a tokio runtime.
pub fn report_to_worker_manager(client: Client, worker: WorkerName, queue: usize) -> IncidentQueue {
    let transport = WorkerManagerTransport {
        client,
        worker,
        failures: FailureLog::default(),
    };
    IncidentQueue::start(queue, transport)
}

struct WorkerManagerTransport {
    client: Client,
    worker: WorkerName,
    failures: FailureLog,
}

#[async_trait]
impl IncidentTransport for WorkerManagerTransport {
    async fn deliver(&mut self, incident: &Incident) -> Delivery {
        let error = WorkerErrorReport {
            kind: Incident::KIND.to_owned(),
            title: incident.title().to_owned(),
            description: incident.description(),
            extra: incident.extra(),
        };
        let Err(error) = self.client.report_worker_error(&self.worker, &error).await else {
            self.failures.success();
            return Delivery::Delivered;
        };
        self.failures.failure(format_args!(
            "cannot report errors to worker-manager: {}",
            error_chain(&error)
        ));
        // A missing scope or a rejected body fails again with each attempt and would block all later incidents.
        if error.is_transient() {
            Delivery::RetryAfter(Duration::ZERO)
        } else {
            Delivery::Refused
        }
    }
}

/// Fetches DSNs from the auth service (`auth.sentryDSN`). They expire after a day.
#[cfg(feature = "sentry")]
#[async_trait]
impl crate::sentry::DsnSource for Client {
    async fn dsn(
        &self,
        project: Option<&str>,
    ) -> Result<crate::sentry::Dsn, runtime_core::BoxError> {
        let project =
            project.ok_or("the auth service needs the name of a project: configure `project`")?;
        let response = self.sentry_dsn(project).await?;
        Ok(crate::sentry::Dsn {
            dsn: response.dsn.into(),
            expires: Some(response.expires),
        })
    }
}
