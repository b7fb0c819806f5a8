//! Error reports, metrics and traces to the services in the configuration.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use runtime_client::Client;
use runtime_core::clock::SystemClock;
use runtime_monitoring::{
    IncidentQueue, MonitoringParts, OtlpPush, push_to_otlp, report_to_sentry,
    report_to_worker_manager,
};
use tokio::task::JoinSet;

use crate::config::Config;

/// The queues that deliver error reports, and the pushes of metrics and traces, until they are dropped.
pub(crate) struct Exports {
    incidents: Vec<IncidentQueue>,
    otlp: Option<OtlpPush>,
}

impl Exports {
    pub(crate) fn start(
        config: &Config,
        monitoring: &MonitoringParts,
        client: &Client,
    ) -> Result<Self> {
        let mut queues = Vec::new();
        if let Some(sentry) = &config.monitoring.sentry {
            let dsn_source = Arc::new(client.clone());
            let queue = report_to_sentry(sentry, Some(dsn_source), Arc::new(SystemClock));
            queues.push(queue.context("`monitoring.sentry`")?);
        }
        if let Some(manager) = &config.monitoring.worker_manager {
            let (client, worker) = (client.clone(), config.worker_name());
            queues.push(report_to_worker_manager(client, worker, manager.queue));
        }
        let mut incidents = Vec::new();
        for queue in queues {
            let queue = queue.with_metrics(&monitoring.metrics);
            monitoring.reporters.add(queue.reporter());
            incidents.push(queue);
        }
        let otlp = config.monitoring.otlp.as_ref().map(|otlp| {
            let (metrics, traces) = (monitoring.metrics.clone(), monitoring.traces.clone());
            push_to_otlp(otlp, metrics, traces, &identity_tags(config))
        });
        let otlp = otlp.transpose().context("`monitoring.otlp`")?;
        Ok(Self { incidents, otlp })
    }

    /// Delivers the queued reports, and the last metrics and traces, for at most `timeout`.
    pub(crate) async fn stop(self, timeout: Duration) {
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
fn identity_tags(config: &Config) -> BTreeMap<String, String> {
    let identity = config.worker.identity();
    let mut tags = BTreeMap::from([
        ("taskQueueId".to_owned(), identity.task_queue_id),
        ("workerGroup".to_owned(), identity.worker_group),
        ("workerId".to_owned(), identity.worker_id),
    ]);
    tags.extend(config.monitoring.tags.clone());
    tags
}
