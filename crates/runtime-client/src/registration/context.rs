//! The parts that registrar and renewal share.

use std::path::PathBuf;
use std::sync::Arc;

use runtime_core::clock::Clock;
use runtime_core::{ApiError, CredentialsCell};
use secrecy::SecretString;
use serde_json::Value;

use crate::client::Client;
use crate::services::worker_manager::{RegisterResponse, WorkerName};

/// The worker, its clients, and where its credentials are stored.
pub(super) struct RegistrationContext {
    /// `registerWorker` accepts only requests without credentials.
    pub(super) anonymous_client: Client,
    /// Uses the credentials of the worker.
    pub(super) client: Client,
    pub(super) worker: WorkerName,
    pub(super) provider_id: String,
    pub(super) proof: Value,
    pub(super) credentials: CredentialsCell,
    pub(super) state_file: Option<PathBuf>,
    pub(super) clock: Arc<dyn Clock>,
}

impl RegistrationContext {
    /// Registers with the proof.
    pub(super) async fn register(&self) -> Result<RegisterResponse, ApiError> {
        self.anonymous_client
            .register_worker(&self.provider_id, &self.worker, &self.proof)
            .await
    }

    /// Registers with the secret of the last registration.
    pub(super) async fn reregister(
        &self,
        secret: &SecretString,
    ) -> Result<RegisterResponse, ApiError> {
        self.client.reregister_worker(&self.worker, secret).await
    }
}
