//! The texts that are printed instead of running tasks.

use std::sync::Arc;

use anyhow::Result;
use runtime::client::TaskclusterDeployment;
use runtime::monitoring::{LogLevel, MonitoringConfig};
use runtime::webhook::{NoConfig, WebHookConfig};
use runtime::worker::config;
use runtime::{CredentialsWatch, LifeCycleTracker};

use crate::app::{App, AppInputs, temporary_folder};
use crate::args::Args;
use crate::config::Config;
use crate::progress::Progress;

/// Returns the text that the command line requests, if any.
pub(crate) async fn requested_text(args: &Args) -> Result<Option<String>> {
    Ok(if args.web_hooks_schema {
        Some(format!("{:#}", WebHookConfig::schema().to_value()))
    } else if args.config_schema {
        Some(format!("{:#}", config::schema::<Config>()))
    } else if let (true, Some(file)) = (args.print_config, &args.config) {
        let config = Config::load(file, args.root_url()?.as_deref())?;
        Some(config::redacted(&config))
    } else if args.print_docs {
        Some(documentation(args).await?)
    } else {
        None
    })
}

/// Returns the documentation of the engine and the plugins.
///
/// They belong to a worker, so this builds one. It gets its own folder and no services, so that it does not disturb
/// a worker that runs with the same configuration.
async fn documentation(args: &Args) -> Result<String> {
    let folder = temporary_folder()?;
    let mut config = match &args.config {
        Some(file) => Config::load(file, args.root_url()?.as_deref())?,
        None => Config::from_args(args, "https://tc.example.com", folder.path())?,
    };
    folder.path().clone_into(&mut config.worker.data_folder);
    config.web_hooks = WebHookConfig::None(NoConfig::default());
    config.status_port = None;
    config.monitoring = MonitoringConfig::default();
    config.monitoring.log.level = LogLevel::Error;
    let inputs = AppInputs {
        deployment: TaskclusterDeployment::new(&config.worker.root_url)?,
        credentials: CredentialsWatch::fixed(None),
        progress: Arc::new(Progress::new(true)),
        worker_runner: None,
        cancel_poll: None,
    };
    let app = App::build(&config, inputs, &LifeCycleTracker::new()).await?;
    let title = format!("Tasks for {}", config.worker.task_queue_id);
    Ok(app.worker.documentation(&title))
}
