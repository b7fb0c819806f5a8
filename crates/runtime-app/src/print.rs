//! The documentation of a worker.

use std::sync::Arc;

use anyhow::Result;
use runtime_client::TaskclusterDeployment;
use runtime_core::{CredentialsWatch, LifeCycleTracker};
use runtime_monitoring::{LogLevel, MonitoringConfig};
use runtime_webhook::{NoConfig, WebHookConfig};
use runtime_worker::ExitCause;
use tempfile::TempDir;

use crate::assembly::{AssembledWorker, DeploymentInputs, temporary_folder};
use crate::config::Config;
use crate::parts::EngineFactory;
use crate::program::ProgramSpec;
use crate::progress::Progress;

/// Returns the documentation of the engine and the plugins.
pub(crate) async fn documentation(
    program: &ProgramSpec,
    loaded: (Config, EngineFactory),
) -> Result<String> {
    let title = format!("Tasks for {}", loaded.0.worker.task_queue_id);
    let (app, _folder) = idle_app(program, loaded).await?;
    Ok(app.worker.documentation(&title))
}

/// Creates a worker that only returns information about its engine and plugins.
///
/// It has a temporary folder and no services, so that it does not affect a worker that runs with the same
/// configuration.
pub(crate) async fn idle_app(
    program: &ProgramSpec,
    (mut config, engine): (Config, EngineFactory),
) -> Result<(AssembledWorker, TempDir)> {
    let folder = temporary_folder()?;
    folder.path().clone_into(&mut config.worker.data_folder);
    config.web_hooks = WebHookConfig::None(NoConfig::default());
    config.status_port = None;
    config.monitoring = MonitoringConfig::default();
    config.monitoring.log.level = LogLevel::Error;
    let inputs = DeploymentInputs {
        deployment: TaskclusterDeployment::new(&config.worker.root_url)?,
        credentials: CredentialsWatch::fixed(None),
        progress: Arc::new(Progress::new(true)),
        worker_runner: None,
        cause: ExitCause::default(),
        idle_stop: None,
        cancel_poll: None,
    };
    let stop = LifeCycleTracker::new();
    let app = AssembledWorker::build(program, (&config, engine), inputs, &stop).await?;
    Ok((app, folder))
}
