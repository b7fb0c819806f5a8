//! Work for a real deployment.

use std::sync::Arc;

use anyhow::Result;
use runtime::client::TaskclusterDeployment;
use runtime::worker::config::ShutdownConfig;
use runtime::{LifeCycleTracker, ShutdownManager};

use crate::access::Access;
use crate::assemble::{Parts, assemble};
use crate::config::Config;
use crate::progress::Progress;
use crate::signals::stop_on_signals;

/// Claims and runs tasks until somebody stops the worker.
pub(crate) async fn run(config: &Config, json: bool) -> Result<()> {
    let listens_to = |source| config.worker.shutdown.contains(&source);
    let progress = Arc::new(Progress::new(json || config.speaks_to_worker_runner()));
    let stop = LifeCycleTracker::new();
    let _signals = match listens_to(ShutdownConfig::Signals) {
        true => Some(stop_on_signals(stop.clone())?),
        false => None,
    };
    let deployment = TaskclusterDeployment::new(&config.worker.identity().root_url)?;
    let access = Access::open(config, &deployment).await?;
    let parts = Parts {
        deployment,
        credentials: access.credentials,
        runner: access.runner,
        progress: Arc::clone(&progress),
        cancel_poll: None,
        trust_loopback: is_on_this_machine(&config.worker.root_url),
    };
    let assembled = assemble(config, parts, &stop).await?;
    let sources = access.sources.into_iter();
    let manager = ShutdownManager::new(Arc::new(stop.clone()), assembled.monitor.clone());
    let _listening = sources.fold(manager, ShutdownManager::boxed_source).start();
    if let Some(url) = assembled.status_url() {
        progress.say(format_args!("status: {url}"));
    }
    progress.say(format_args!(
        "claiming from {} at {}",
        config.worker.task_queue_id, config.worker.root_url
    ));
    assembled.work(&stop).await;
    progress.say(format_args!("measured: {}", assembled.measured()));
    assembled.close().await;
    Ok(())
}

/// Whether it is a deployment for tests, whose store of artifacts is on this machine as well.
fn is_on_this_machine(root_url: &str) -> bool {
    let host = root_url.strip_prefix("http://127.0.0.1");
    host.is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/']))
}
