//! The credentials of the worker, with the layers of the configuration and the secrets that they can read.

use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow, ensure};
use runtime_client::{
    Client, RegisteredWorker, Registrar, TaskclusterDeployment, worker_config_for,
};
use runtime_core::{Credentials, CredentialsCell, CredentialsWatch, ShutdownSource};
use runtime_dev_server::environment_credentials;
use runtime_worker::config::{ConfigDocument, RegistrationConfig};
use runtime_worker::worker_runner::{self, WorkerRunner};
use serde_json::{Value, json};
use tokio::io::{BufReader, stdin, stdout};

use crate::bootstrap::Bootstrap;

/// The credentials of the worker and their source.
pub(crate) struct WorkerCredentials {
    pub(crate) credentials: CredentialsWatch,
    /// Stops the worker when its credentials end, or on request of worker-runner.
    pub(crate) shutdown: Option<Box<dyn ShutdownSource>>,
    /// The connection to worker-runner, which owns standard output.
    pub(crate) worker_runner: Option<WorkerRunner>,
    /// The configuration of the worker pool, from a registration.
    worker_config: Option<Value>,
}

impl WorkerCredentials {
    /// Obtains credentials from a registration, from worker-runner, from the configuration or from environment
    /// variables.
    pub(crate) async fn open(
        bootstrap: &Bootstrap,
        deployment: &TaskclusterDeployment,
    ) -> Result<Self> {
        if let Some(registrar) = registrar(bootstrap, deployment) {
            let registered = registrar.register().await;
            let (registered, renewal) =
                registered.context("cannot register with the worker manager")?;
            return Ok(Self {
                shutdown: Some(Box::new(renewal)),
                ..Self::registered(registered)
            });
        }
        if bootstrap.is_by_worker_runner() {
            return Ok(Self::connect_worker_runner(bootstrap));
        }
        Ok(Self::fixed(static_credentials(bootstrap)?))
    }

    /// Obtains credentials from the state of a registration, from the configuration or from environment variables. It
    /// does not register, because this could affect a running worker. `None` if the worker has no credentials yet.
    pub(crate) fn stored(
        bootstrap: &Bootstrap,
        deployment: &TaskclusterDeployment,
    ) -> Option<Self> {
        match registrar(bootstrap, deployment) {
            Some(registrar) => registrar.stored().map(Self::registered),
            None => static_credentials(bootstrap).ok().map(Self::fixed),
        }
    }

    fn registered(registered: RegisteredWorker) -> Self {
        Self {
            credentials: registered.credentials,
            shutdown: None,
            worker_runner: None,
            worker_config: registered.worker_config,
        }
    }

    fn fixed(credentials: Credentials) -> Self {
        Self {
            credentials: CredentialsWatch::fixed(Some(credentials)),
            shutdown: None,
            worker_runner: None,
            worker_config: None,
        }
    }

    /// Starts with static credentials if there are any. Worker-runner sends new credentials before they expire.
    fn connect_worker_runner(bootstrap: &Bootstrap) -> Self {
        let cell = Arc::new(CredentialsCell::new(static_credentials(bootstrap).ok()));
        let credentials = cell.watch();
        let (runner, termination) = worker_runner::connect(BufReader::new(stdin()), stdout(), cell);
        Self {
            credentials,
            shutdown: Some(Box::new(termination)),
            worker_runner: Some(runner),
            worker_config: None,
        }
    }

    /// Adds the configuration of the worker pool, the secret of the pool, and all secrets that the configuration refers
    /// to.
    ///
    /// Worker-runner reads the secret of the pool itself.
    pub(crate) async fn add_layers(
        &self,
        document: &mut ConfigDocument,
        (bootstrap, name): (&Bootstrap, &str),
        client: &Client,
    ) -> Result<()> {
        if let Some(config) = &self.worker_config {
            let layer = worker_config_for(name, config.clone())?;
            let name = "the `workerConfig` of the worker pool";
            ensure_identity_is_kept(name, &layer)?;
            document.add_layer(name, layer)?;
        }
        if !bootstrap.is_by_worker_runner() {
            let pool = bootstrap.worker_name().worker_pool_id;
            if let Some(layer) = client.pool_secret(&pool).await? {
                let name = format!("the secret `worker-pool:{pool}`");
                ensure_identity_is_kept(&name, &layer)?;
                document.add_secret_layer(&name, layer)?;
            }
        }
        for name in document.missing_secrets() {
            let secret = client.secret(&name).await.with_context(|| {
                format!(
                    "cannot fetch the secret `{name}`, which needs the scope `secrets:get:{name}`"
                )
            })?;
            document.add_secret(name, secret.value);
        }
        Ok(())
    }
}

fn ensure_identity_is_kept(name: &str, layer: &Value) -> Result<()> {
    for key in Bootstrap::FIXED_KEYS {
        ensure!(
            layer["worker"].get(key).is_none(),
            "in {name}: `worker.{key}` can be set in the configuration file only"
        );
    }
    Ok(())
}

fn registrar(bootstrap: &Bootstrap, deployment: &TaskclusterDeployment) -> Option<Registrar> {
    let registration = bootstrap.registration.as_ref()?;
    let (provider_id, proof) = match (registration, &bootstrap.machine) {
        (RegistrationConfig::Static(it), _) => {
            let proof = json!({ "staticSecret": it.static_secret.expose() });
            (&it.provider_id, proof)
        }
        (_, machine) => {
            let machine = machine.as_ref()?;
            (&machine.provider_id, machine.proof.clone())
        }
    };
    let registrar = Registrar::new(deployment, bootstrap.worker_name(), provider_id, proof);
    Some(match registration.state_file() {
        Some(file) => registrar.state_file(file),
        None => registrar,
    })
}

/// Returns the credentials of the configuration, or those of the variables that Taskcluster's own tools read.
pub(crate) fn static_credentials(bootstrap: &Bootstrap) -> Result<Credentials> {
    if let Some(credentials) = &bootstrap.credentials {
        return Ok(credentials.into());
    }
    environment_credentials()
        .map_err(|name| anyhow!("no credentials: set {name} or `worker.credentials`"))
}
