//! The sources of the worker's shutdown.

use anyhow::{Result, bail};
use runtime_client::Client;
use runtime_client::shutdown::{AwsSpot, AzureEvents, GcpPreemption, ShouldTerminateSource};
use runtime_core::ShutdownSource;
use runtime_worker::MaxLifeTime;
use runtime_worker::config::ShutdownConfig;
use runtime_worker::plugins::{IdleShutdownSource, IdleStop};

use crate::config::Config;

/// Returns the configured sources, except signals and worker-runner, which have listeners already.
pub(crate) fn configured(config: &Config, client: &Client) -> Result<Vec<Box<dyn ShutdownSource>>> {
    let mut sources: Vec<Box<dyn ShutdownSource>> = Vec::new();
    for source in &config.worker.shutdown {
        sources.push(match source {
            ShutdownConfig::Signals | ShutdownConfig::WorkerRunner => continue,
            ShutdownConfig::AwsSpot => Box::new(AwsSpot::new()?),
            ShutdownConfig::GcpPreemption => Box::new(GcpPreemption::new()?),
            ShutdownConfig::AzureEvents => Box::new(AzureEvents::new()?),
            ShutdownConfig::WorkerManager => Box::new(ShouldTerminateSource::new(
                client.clone(),
                config.worker_name(),
            )),
            other => bail!("`worker.shutdown`: unsupported source {other:?}"),
        });
    }
    if let Some(limit) = config.worker.max_life_time {
        sources.push(Box::new(MaxLifeTime::new(limit)));
    }
    Ok(sources)
}

/// Creates the plugin that watches for idle time, if it is configured.
///
/// A worker that is registered with worker-manager asks it before the stop, because it knows the minimum capacity of
/// the pool. After an error, the worker continues.
pub(crate) fn idle_stop(
    config: &Config,
    client: &Client,
) -> Option<(IdleStop, IdleShutdownSource)> {
    let (plugin, source) = IdleStop::with_source(config.worker.plugins.idle_stop?);
    let is_managed = config.worker.registration.is_some()
        || config.has_shutdown_source(ShutdownConfig::WorkerManager)
        || config.has_shutdown_source(ShutdownConfig::WorkerRunner);
    if !is_managed {
        return Some((plugin, source));
    }
    let (client, worker) = (client.clone(), config.worker_name());
    let source = source.confirm(move || {
        let (client, worker) = (client.clone(), worker.clone());
        async move {
            let answer = client.should_worker_terminate(&worker).await;
            answer.is_ok_and(|answer| answer.terminate)
        }
    });
    Some((plugin, source))
}
