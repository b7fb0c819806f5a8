//! Error reports to the services in the configuration.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use runtime_client::Client;
use runtime_core::clock::SystemClock;
use runtime_monitoring::{
    IncidentQueue, MonitoringParts, report_to_sentry, report_to_worker_manager,
};
use tokio::task::JoinSet;

use crate::config::Config;

/// The queues that deliver error reports until they are dropped.
pub(crate) struct ErrorReports(Vec<IncidentQueue>);

impl ErrorReports {
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
        let mut reports = Self(Vec::new());
        for queue in queues {
            let queue = queue.with_metrics(&monitoring.metrics);
            monitoring.reporters.add(queue.reporter());
            reports.0.push(queue);
        }
        Ok(reports)
    }

    /// Delivers the queued reports, for at most `timeout`.
    pub(crate) async fn stop(self, timeout: Duration) {
        let queues = self.0.into_iter();
        let stopping: JoinSet<_> = queues.map(|queue| queue.stop(timeout)).collect();
        stopping.join_all().await;
    }
}
