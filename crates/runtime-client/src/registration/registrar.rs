//! The registration at the start of a worker.

use std::path::PathBuf;
use std::sync::Arc;

use runtime_core::{CredentialsCell, CredentialsWatch};
use serde_json::Value;

use super::context::RegistrationContext;
use super::error::RegisterError;
use super::renewal::RegistrationRenewal;
use super::state_file;
use crate::deployment::TaskclusterDeployment;
use crate::identity::MachineIdentity;
use crate::services::worker_manager::WorkerName;

/// Registers a worker with the worker manager.
///
/// ```no_run
/// # use runtime_client::{Registrar, TaskclusterDeployment, WorkerName};
/// # async fn register(worker: WorkerName) -> Result<(), Box<dyn std::error::Error>> {
/// let deployment = TaskclusterDeployment::new("https://tc.example.com")?;
/// let proof = serde_json::json!({ "staticSecret": std::fs::read_to_string("/etc/worker/secret")? });
/// let (registered, renewal) = Registrar::new(&deployment, worker, "static", proof)
///     .state_file("/var/lib/worker/registration.json")
///     .register()
///     .await?;
/// // `registered.credentials` is for the worker; `renewal` is a source for its `ShutdownManager`.
/// # let _ = renewal;
/// # Ok(())
/// # }
/// ```
pub struct Registrar {
    context: RegistrationContext,
}

/// The result of [`Registrar::register`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RegisteredWorker {
    /// The credentials of the worker, which [`RegistrationRenewal`] replaces.
    pub credentials: CredentialsWatch,
    /// The configuration of the worker pool, of the registration or the state file.
    pub worker_config: Option<Value>,
}

impl Registrar {
    /// Creates a registrar of `worker`. `proof` proves the identity of the machine to the provider, such as
    /// `{"staticSecret": …}`.
    #[must_use]
    pub fn new(
        deployment: &TaskclusterDeployment,
        worker: WorkerName,
        provider_id: impl Into<String>,
        proof: Value,
    ) -> Self {
        let credentials = CredentialsCell::new(None);
        let client = deployment.client(credentials.watch());
        let clock = Arc::clone(&client.transport.settings.clock);
        let context = RegistrationContext {
            anonymous_client: deployment.client(CredentialsWatch::fixed(None)),
            client,
            worker,
            provider_id: provider_id.into(),
            proof,
            credentials,
            state_file: None,
            clock,
        };
        Self { context }
    }

    /// Creates a registrar of a machine with its proof.
    #[must_use]
    pub fn of_machine(deployment: &TaskclusterDeployment, machine: &MachineIdentity) -> Self {
        let (worker, proof) = (machine.worker.clone(), machine.proof.clone());
        Self::new(deployment, worker, &machine.provider_id, proof)
    }

    /// Sets the file that stores credentials and the secret of the next registration. Only the current user may read
    /// it.
    ///
    /// A restarted worker resumes from it. Many providers register a machine only once.
    #[must_use]
    pub fn state_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.context.state_file = Some(file.into());
        self
    }

    /// Returns the registration in the state file without renewing it, to look at its configuration while the worker runs.
    /// `None` if there is none.
    #[must_use]
    pub fn stored(&self) -> Option<RegisteredWorker> {
        let stored = state_file::read(self.context.state_file.as_deref()?)?;
        Some(RegisteredWorker {
            credentials: CredentialsWatch::fixed(Some(stored.credentials)),
            worker_config: stored.worker_config,
        })
    }

    /// Resumes the registration from the state file, or registers the worker.
    ///
    /// The returned [`RegistrationRenewal`] renews the registration while it is polled as a shutdown source.
    ///
    /// # Errors
    ///
    /// A [`RegisterError`] if the worker manager refuses or the state file cannot be written.
    ///
    /// # Cancel safety
    ///
    /// Not safe: the machine may be registered without having received its credentials.
    pub async fn register(self) -> Result<(RegisteredWorker, RegistrationRenewal), RegisterError> {
        let mut renewal = RegistrationRenewal::new(self.context);
        let worker_config = renewal.start().await?;
        let registered = RegisteredWorker {
            credentials: renewal.credentials(),
            worker_config,
        };
        Ok((registered, renewal))
    }
}

impl std::fmt::Debug for Registrar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registrar")
            .field("worker", &self.context.worker)
            .finish_non_exhaustive()
    }
}
