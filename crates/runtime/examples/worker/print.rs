//! What is printed in place of work.

use std::sync::Arc;

use anyhow::Result;
use runtime::client::TaskclusterDeployment;
use runtime::webhook::{self, NoConfig};
use runtime::worker::config;
use runtime::{CredentialsWatch, LifeCycleTracker, monitoring};

use crate::args::Args;
use crate::assemble::{Parts, assemble, temporary_folder};
use crate::config::Config;
use crate::progress::Progress;

/// The text that the command line asks for, if it does.
pub(crate) async fn wanted(args: &Args) -> Result<Option<String>> {
    if args.web_hooks_schema {
        return Ok(Some(format!(
            "{:#}",
            webhook::WebHookConfig::schema().to_value()
        )));
    }
    if args.config_schema {
        return Ok(Some(format!("{:#}", config::schema::<Config>())));
    }
    if let (true, Some(file)) = (args.print_config, &args.config) {
        let config = Config::load(file, args.connect.as_deref())?;
        return Ok(Some(config::redacted(&config)));
    }
    match args.print_docs {
        true => documentation(args).await.map(Some),
        false => Ok(None),
    }
}

/// What the engine and the plugins of the worker say of themselves. The worker speaks to nobody, and has a
/// folder of its own, so that it disturbs none that runs.
async fn documentation(args: &Args) -> Result<String> {
    let folder = temporary_folder()?;
    let mut config = match &args.config {
        Some(file) => Config::load(file, args.connect.as_deref())?,
        None => Config::of_args(args, "https://tc.example.com", folder.path())?,
    };
    folder.path().clone_into(&mut config.worker.data_folder);
    config.web_hooks = webhook::WebHookConfig::None(NoConfig::default());
    config.status_port = None;
    config.monitoring = monitoring::MonitoringConfig::default();
    let parts = Parts {
        deployment: TaskclusterDeployment::new(&config.worker.root_url)?,
        credentials: CredentialsWatch::fixed(None),
        progress: Arc::new(Progress::new(true)),
        runner: None,
        cancel_poll: None,
        trust_loopback: false,
    };
    let assembled = assemble(&config, parts, &LifeCycleTracker::new()).await?;
    let title = format!("Tasks for {}", config.worker.task_queue_id);
    Ok(assembled.worker.documentation(&title))
}
