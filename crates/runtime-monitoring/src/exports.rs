//! Error reports, metrics and traces to the services in the configuration.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use runtime_client::Client;
use runtime_core::WorkerIdentity;
use runtime_core::clock::SystemClock;
use tokio::task::JoinSet;

use crate::config::MonitoringConfig;
use crate::incidents::IncidentQueue;
use crate::otlp::{OtlpPush, push_to_otlp};
use crate::push::StartPushError;
use crate::sentry::report_to_sentry;
use crate::setup::MonitoringParts;
use crate::taskcluster::report_to_worker_manager;

/// The queues that deliver error reports, and the pushes of metrics and traces, until they are dropped.
#[must_use = "dropping it stops the deliveries"]
pub struct TelemetryExporters {
    incidents: Vec<IncidentQueue>,
    otlp: Option<OtlpPush>,
}

/// A service to which nothing can be sent as it is configured.
#[derive(Debug, thiserror::Error)]
#[error("`monitoring.{key}`")]
#[non_exhaustive]
pub struct ExportError {
    /// The key of the service in the configuration.
    pub key: &'static str,
    /// The problem of its settings.
    pub source: StartPushError,
}

impl TelemetryExporters {
    /// Starts the configured services: error reports to Sentry and to worker-manager, and the push of metrics and
    /// traces.
    ///
    /// The identity is that of `workerManager`, and part of the tags of metrics and traces. The client fetches the DSN of a
    /// Sentry project, and reports to worker-manager.
    ///
    /// # Errors
    ///
    /// An [`ExportError`] for settings that are invalid.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn start(
        config: &MonitoringConfig,
        parts: &MonitoringParts,
        identity: WorkerIdentity,
        client: &Client,
    ) -> Result<Self, ExportError> {
        let mut queues = Vec::new();
        if let Some(sentry) = &config.sentry {
            let dsn_source = Arc::new(client.clone());
            let queue = report_to_sentry(sentry, Some(dsn_source), Arc::new(SystemClock::new()));
            queues.push(queue.map_err(|source| ExportError {
                key: "sentry",
                source,
            })?);
        }
        if let Some(manager) = &config.worker_manager {
            let (client, worker) = (client.clone(), identity.clone().into());
            queues.push(report_to_worker_manager(client, worker, manager.queue));
        }
        let mut incidents = Vec::new();
        for queue in queues {
            let queue = queue.with_metrics(&parts.metrics);
            parts.reporters.add(queue.reporter());
            incidents.push(queue);
        }
        let otlp = config.otlp.as_ref().map(|otlp| {
            let (metrics, traces) = (parts.metrics.clone(), parts.traces.clone());
            push_to_otlp(otlp, metrics, traces, &tags(config, identity))
        });
        let otlp = otlp.transpose();
        let otlp = otlp.map_err(|source| ExportError {
            key: "otlp",
            source,
        })?;
        Ok(Self { incidents, otlp })
    }

    /// Delivers the queued reports, and the last metrics and traces, for at most `timeout`.
    ///
    /// # Cancel safety
    ///
    /// If cancelled, the rest is not delivered.
    pub async fn stop(self, timeout: Duration) {
        let mut stopping = JoinSet::new();
        for queue in self.incidents {
            stopping.spawn(async move {
                queue.stop(timeout).await;
            });
        }
        if let Some(otlp) = self.otlp {
            stopping.spawn(otlp.stop(timeout));
        }
        stopping.join_all().await;
    }
}

/// Returns the tags that identify the worker among others, and the configured ones.
fn tags(config: &MonitoringConfig, identity: WorkerIdentity) -> BTreeMap<String, String> {
    let mut tags = BTreeMap::from([
        ("taskQueueId".to_owned(), identity.task_queue_id),
        ("workerGroup".to_owned(), identity.worker_group),
        ("workerId".to_owned(), identity.worker_id),
    ]);
    tags.extend(config.tags.clone());
    tags
}

impl fmt::Debug for TelemetryExporters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TelemetryExporters").finish_non_exhaustive()
    }
}
