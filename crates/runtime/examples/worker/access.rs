//! With which credentials a worker works, and who may stop it.

use std::sync::Arc;

use anyhow::{Context as _, Result, bail, ensure};
use runtime::client::shutdown::{AwsSpot, AzureEvents, GcpPreemption, ShouldTerminate};
use runtime::client::{Registrar, TaskclusterDeployment};
use runtime::worker::config::ShutdownConfig;
use runtime::worker::worker_runner::{self, WorkerRunner};
use runtime::{Credentials, CredentialsCell, CredentialsWatch, ShutdownSource};
use serde_json::json;
use tokio::io::{BufReader, stdin, stdout};

use crate::config::Config;

/// The credentials of a worker, as they change, and the sources that may stop it.
pub(crate) struct Access {
    pub(crate) credentials: CredentialsWatch,
    pub(crate) sources: Vec<Box<dyn ShutdownSource>>,
    /// The conversation with worker-runner, which owns standard output.
    pub(crate) runner: Option<WorkerRunner>,
}

impl Access {
    /// Gets credentials in the way that is configured: given, by registration, from worker-runner, or from
    /// the environment.
    pub(crate) async fn open(config: &Config, deployment: &TaskclusterDeployment) -> Result<Self> {
        let mut access = match &config.worker.registration {
            Some(_) => Self::register(config, deployment).await?,
            None => Self::given(config)?,
        };
        for source in &config.worker.shutdown {
            access.listen_to(*source, config, deployment)?;
        }
        Ok(access)
    }

    async fn register(config: &Config, deployment: &TaskclusterDeployment) -> Result<Self> {
        let registration = config
            .worker
            .registration
            .as_ref()
            .context("no registration")?;
        ensure!(
            !config
                .worker
                .shutdown
                .contains(&ShutdownConfig::WorkerRunner),
            "worker-runner registers the worker; leave out `worker.registration`, or worker-runner in `worker.shutdown`",
        );
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
            sources: vec![Box::new(renewal)],
            runner: None,
        })
    }

    fn given(config: &Config) -> Result<Self> {
        let given = config.worker.credentials.as_ref().map(Credentials::from);
        if !config
            .worker
            .shutdown
            .contains(&ShutdownConfig::WorkerRunner)
        {
            let credentials = given.map_or_else(from_environment, Ok)?;
            return Ok(Self {
                credentials: CredentialsWatch::fixed(Some(credentials)),
                sources: Vec::new(),
                runner: None,
            });
        }
        // Worker-runner may bring the first, and surely brings others before those end.
        let cell = Arc::new(CredentialsCell::new(
            given.or_else(|| from_environment().ok()),
        ));
        let credentials = cell.watch();
        let (runner, termination) = worker_runner::connect(BufReader::new(stdin()), stdout(), cell);
        Ok(Self {
            credentials,
            sources: vec![Box::new(termination)],
            runner: Some(runner),
        })
    }

    fn listen_to(
        &mut self,
        source: ShutdownConfig,
        config: &Config,
        deployment: &TaskclusterDeployment,
    ) -> Result<()> {
        self.sources.push(match source {
            // Are listened to in a way of their own, see `signals`, and above.
            ShutdownConfig::Signals | ShutdownConfig::WorkerRunner => return Ok(()),
            ShutdownConfig::AwsSpot => Box::new(AwsSpot::new()?),
            ShutdownConfig::GcpPreemption => Box::new(GcpPreemption::new()?),
            ShutdownConfig::AzureEvents => Box::new(AzureEvents::new()?),
            ShutdownConfig::WorkerManager => {
                let client = deployment.client(self.credentials.clone());
                Box::new(ShouldTerminate::new(client, config.worker_name()))
            }
            other => bail!("`worker.shutdown`: this worker cannot listen to {other:?}"),
        });
        Ok(())
    }
}

/// The credentials in the environment, as Taskcluster's own tools read them.
fn from_environment() -> Result<Credentials> {
    let read = |name: &str| {
        std::env::var(name).with_context(|| {
            format!(
                "{name} must be set to connect, unless a file for --config has `worker.credentials`"
            )
        })
    };
    let credentials = Credentials::new(
        read("TASKCLUSTER_CLIENT_ID")?,
        read("TASKCLUSTER_ACCESS_TOKEN")?,
    );
    Ok(match std::env::var("TASKCLUSTER_CERTIFICATE") {
        Ok(certificate) if !certificate.is_empty() => credentials.with_certificate(certificate),
        _ => credentials,
    })
}
