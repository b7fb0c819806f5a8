//! Reports of errors, to whom the configuration names.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use runtime::client::Client;
use runtime::clock::SystemClock;
use runtime::monitoring::{IncidentQueue, Monitoring, report_to_sentry, report_to_worker_manager};
use tokio::task::JoinSet;

use crate::config::Config;

/// What delivers reports until this is dropped.
pub(crate) struct Reports(Vec<IncidentQueue>);

impl Reports {
    pub(crate) fn start(config: &Config, monitoring: &Monitoring, client: &Client) -> Result<Self> {
        let mut forwarders = Vec::new();
        if let Some(sentry) = &config.monitoring.sentry {
            ensure!(
                sentry.dsn.is_some() || sentry.project.is_some(),
                "`monitoring.sentry` needs a `dsn`, or a `project` for which the auth service has one",
            );
            let source = Arc::new(client.clone());
            let started = report_to_sentry(sentry, Some(source), Arc::new(SystemClock));
            forwarders.push(started.context("`monitoring.sentry`")?);
        }
        if let Some(manager) = &config.monitoring.worker_manager {
            let (client, worker) = (client.clone(), config.worker_name());
            forwarders.push(report_to_worker_manager(client, worker, manager.queue));
        }
        let counted = forwarders
            .into_iter()
            .map(|forwarder| forwarder.with_metrics(&monitoring.metrics));
        let reports = Self(counted.collect());
        for forwarder in &reports.0 {
            monitoring.reporters.add(forwarder.reporter());
        }
        Ok(reports)
    }

    /// Delivers what waits, for at most `patience`.
    pub(crate) async fn stop(self, patience: Duration) {
        let forwarders = self.0.into_iter();
        let stopping: JoinSet<_> = forwarders.map(|it| it.stop(patience)).collect();
        stopping.join_all().await;
    }
}
