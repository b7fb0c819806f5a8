//! The sources of the worker's credentials and of its shutdown.

use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use runtime_client::shutdown::{AwsSpot, AzureEvents, GcpPreemption, ShouldTerminate};
use runtime_client::{Registrar, TaskclusterDeployment};
use runtime_core::{Credentials, CredentialsCell, CredentialsWatch, ShutdownSource};
use runtime_worker::config::{RegistrationConfig, ShutdownConfig};
use runtime_worker::worker_runner::{self, WorkerRunner};
use serde_json::json;
use tokio::io::{BufReader, stdin, stdout};

use crate::config::Config;

/// The sources of the worker's credentials and of its shutdown.
pub(crate) struct Sources {
    pub(crate) credentials: CredentialsWatch,
    pub(crate) shutdown: Vec<Box<dyn ShutdownSource>>,
    /// The connection to worker-runner, which owns standard output.
    pub(crate) worker_runner: Option<WorkerRunner>,
}

impl Sources {
    /// Opens the configured sources. Credentials are taken from a registration, from worker-runner, from the
    /// configuration or from environment variables.
    pub(crate) async fn open(config: &Config, deployment: &TaskclusterDeployment) -> Result<Self> {
        let by_worker_runner = config.has_shutdown_source(ShutdownConfig::WorkerRunner);
        let mut sources = match &config.worker.registration {
            Some(registration) => Self::register(config, registration, deployment).await?,
            None if by_worker_runner => Self::connect_worker_runner(config),
            None => Self {
                credentials: CredentialsWatch::fixed(Some(static_credentials(config)?)),
                shutdown: Vec::new(),
                worker_runner: None,
            },
        };
        for source in &config.worker.shutdown {
            let source = sources.shutdown_source(*source, config, deployment)?;
            sources.shutdown.extend(source);
        }
        Ok(sources)
    }

    async fn register(
        config: &Config,
        registration: &RegistrationConfig,
        deployment: &TaskclusterDeployment,
    ) -> Result<Self> {
        let proof = json!({ "staticSecret": registration.static_secret.expose() });
        let name = config.worker_name();
        let mut registrar = Registrar::new(deployment, name, &registration.provider_id, proof);
        if let Some(file) = &registration.state_file {
            registrar = registrar.state_file(file);
        }
        let registered = registrar.register().await;
        let (registered, renewal) =
            registered.context("cannot register with the worker manager")?;
        Ok(Self {
            credentials: registered.credentials,
            shutdown: vec![Box::new(renewal)],
            worker_runner: None,
        })
    }

    /// Starts with static credentials if there are any. Worker-runner sends new ones before those expire.
    fn connect_worker_runner(config: &Config) -> Self {
        let cell = Arc::new(CredentialsCell::new(static_credentials(config).ok()));
        let credentials = cell.watch();
        let (runner, termination) = worker_runner::connect(BufReader::new(stdin()), stdout(), cell);
        Self {
            credentials,
            shutdown: vec![Box::new(termination)],
            worker_runner: Some(runner),
        }
    }

    fn shutdown_source(
        &self,
        source: ShutdownConfig,
        config: &Config,
        deployment: &TaskclusterDeployment,
    ) -> Result<Option<Box<dyn ShutdownSource>>> {
        Ok(Some(match source {
            // `signals.rs` listens to signals, and `connect_worker_runner` to worker-runner.
            ShutdownConfig::Signals | ShutdownConfig::WorkerRunner => return Ok(None),
            ShutdownConfig::AwsSpot => Box::new(AwsSpot::new()?),
            ShutdownConfig::GcpPreemption => Box::new(GcpPreemption::new()?),
            ShutdownConfig::AzureEvents => Box::new(AzureEvents::new()?),
            ShutdownConfig::WorkerManager => {
                let client = deployment.client(self.credentials.clone());
                Box::new(ShouldTerminate::new(client, config.worker_name()))
            }
            other => bail!("`worker.shutdown`: unsupported source {other:?}"),
        }))
    }
}

/// Returns the credentials of the configuration, or those of the variables that Taskcluster's own tools read.
pub(crate) fn static_credentials(config: &Config) -> Result<Credentials> {
    if let Some(credentials) = &config.worker.credentials {
        return Ok(credentials.into());
    }
    let read = |name: &str| {
        let value = std::env::var(name).ok().filter(|value| !value.is_empty());
        value.with_context(|| format!("no credentials: set {name} or `worker.credentials`"))
    };
    let client_id = read("TASKCLUSTER_CLIENT_ID")?;
    let credentials = Credentials::new(client_id, read("TASKCLUSTER_ACCESS_TOKEN")?);
    Ok(match read("TASKCLUSTER_CERTIFICATE") {
        Ok(certificate) => credentials.with_certificate(certificate),
        Err(_) => credentials,
    })
}
