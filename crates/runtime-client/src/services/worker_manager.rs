//! The worker manager: registration, termination and error reports of workers.

use http::Method;
use jiff::Timestamp;
use runtime_core::clock::deserialize_timestamp;
use runtime_core::{ApiError, Credentials, WorkerIdentity};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::client::Client;
use crate::transport::call::{Call, path};

/// The identity of a worker within its pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkerName {
    /// The worker pool: `<provisionerId>/<workerType>`.
    pub worker_pool_id: String,
    /// The group, usually a region.
    pub worker_group: String,
    /// The id within the group.
    pub worker_id: String,
}

impl From<WorkerIdentity> for WorkerName {
    fn from(identity: WorkerIdentity) -> Self {
        Self {
            worker_pool_id: identity.task_queue_id,
            worker_group: identity.worker_group,
            worker_id: identity.worker_id,
        }
    }
}

/// The result of registering a worker.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct RegisterResponse {
    /// The credentials of the worker.
    pub credentials: Credentials,
    /// The time at which the credentials expire.
    #[serde(deserialize_with = "deserialize_timestamp")]
    pub expires: Timestamp,
    /// The configuration of the worker pool; only in the first registration.
    #[serde(default)]
    pub worker_config: Option<Value>,
    /// The secret for one further registration. Has to be stored before these credentials are used.
    #[serde(default)]
    pub secret: Option<SecretString>,
}

/// Whether worker-manager wants a worker to terminate.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct TerminationNotice {
    /// Whether the worker should terminate.
    pub terminate: bool,
    /// The reason, for people.
    pub reason: String,
}

/// An error report of a worker. Reports are public, so they must not contain secrets.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WorkerErrorReport {
    /// The kind, such as `worker-error`.
    pub kind: String,
    /// A summary in one line.
    pub title: String,
    /// The details.
    pub description: String,
    /// Additional data for programs: a JSON object.
    pub extra: Value,
}

/// The worker manager.
impl Client {
    /// Registers a worker and returns its credentials. `proof` proves the identity of the machine to the provider, such
    /// as `{"staticSecret": …}`. The client must not have credentials.
    ///
    /// # Errors
    ///
    /// Any [`ApiError`].
    ///
    /// # Cancel safety
    ///
    /// The machine may be registered without having received its credentials. Most providers allow to register again.
    pub async fn register_worker(
        &self,
        provider_id: &str,
        worker: &WorkerName,
        proof: &Value,
    ) -> Result<RegisterResponse, ApiError> {
        let body = RegisterRequest {
            provider_id,
            worker,
            worker_identity_proof: proof,
        };
        let path = path("worker-manager", ["worker", "register"]);
        self.call(Call::with_json(
            "workerManager.registerWorker",
            Method::POST,
            path,
            &body,
        )?)
        .await
    }

    /// Renews a registration with the secret of the last one. The request is sent once: the secret is used up even if
    /// the response is lost.
    ///
    /// # Errors
    ///
    /// Any [`ApiError`].
    ///
    /// # Cancel safety
    ///
    /// Not safe: the secret may be used up and its successor lost.
    pub async fn reregister_worker(
        &self,
        worker: &WorkerName,
        secret: &SecretString,
    ) -> Result<RegisterResponse, ApiError> {
        let body = ReregisterRequest {
            worker,
            secret: secret.expose_secret(),
        };
        let path = path("worker-manager", ["worker", "reregister"]);
        let call = Call::with_json("workerManager.reregisterWorker", Method::POST, path, &body)?;
        self.call(call.not_idempotent()).await
    }

    /// Returns whether the worker should terminate.
    ///
    /// # Errors
    ///
    /// Any [`ApiError`].
    ///
    /// # Cancel safety
    ///
    /// Safe: the call has no effect.
    pub async fn should_worker_terminate(
        &self,
        worker: &WorkerName,
    ) -> Result<TerminationNotice, ApiError> {
        let path = worker_path(worker, Some("should-terminate"));
        self.call(Call::get("workerManager.shouldWorkerTerminate", path))
            .await
    }

    /// Reports an error to the owners of the worker pool.
    ///
    /// # Errors
    ///
    /// Any [`ApiError`].
    ///
    /// # Cancel safety
    ///
    /// The report may or may not arrive. Repeated, it may arrive twice.
    pub async fn report_worker_error(
        &self,
        worker: &WorkerName,
        error: &WorkerErrorReport,
    ) -> Result<(), ApiError> {
        let path = path(
            "worker-manager",
            ["worker-pool-errors", &worker.worker_pool_id],
        );
        let mut body = json!(error);
        body["workerGroup"] = json!(worker.worker_group);
        body["workerId"] = json!(worker.worker_id);
        let call = Call::with_json("workerManager.reportWorkerError", Method::POST, path, &body)?;
        self.call_no_content(call).await
    }

    /// Removes the worker from its pool. The queue then resolves its running tasks.
    ///
    /// # Errors
    ///
    /// Any [`ApiError`].
    ///
    /// # Cancel safety
    ///
    /// The worker may or may not be removed. The same request can be repeated.
    pub async fn remove_worker(&self, worker: &WorkerName) -> Result<(), ApiError> {
        let call = Call::new(
            "workerManager.removeWorker",
            Method::DELETE,
            worker_path(worker, None),
        );
        self.call_no_content(call).await
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RegisterRequest<'a> {
    provider_id: &'a str,
    #[serde(flatten)]
    worker: &'a WorkerName,
    worker_identity_proof: &'a Value,
}

#[derive(Serialize)]
struct ReregisterRequest<'a> {
    #[serde(flatten)]
    worker: &'a WorkerName,
    secret: &'a str,
}

fn worker_path(worker: &WorkerName, action: Option<&str>) -> String {
    let name = [
        "workers",
        &worker.worker_pool_id,
        &worker.worker_group,
        &worker.worker_id,
    ];
    path("worker-manager", name.into_iter().chain(action))
}
