//! The worker manager: how a machine gets credentials for its worker, and learns when to go.

use http::Method;
use jiff::Timestamp;
use runtime_core::{ApiError, Credentials};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::Client;
use crate::transport::{Call, path};

/// Which worker of which pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkerName {
    /// `<provisionerId>/<workerType>`.
    pub worker_pool_id: String,
    /// The group, often a region.
    pub worker_group: String,
    /// The worker within its group.
    pub worker_id: String,
}

/// What a worker gets for its identity.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Registration {
    /// The credentials of the worker.
    pub credentials: Credentials,
    /// When they end.
    pub expires: Timestamp,
    /// The configuration of the pool; only at the first registration.
    #[serde(default)]
    pub worker_config: Option<Value>,
    /// Pays for the next registration, once. Keep it before it is used.
    #[serde(default)]
    pub secret: Option<SecretString>,
}

/// Whether a worker should go.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct TerminationNotice {
    /// Whether it should.
    pub terminate: bool,
    /// Why, for people.
    pub reason: String,
}

/// A problem of a worker. Everybody can read it: leave out what is secret.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WorkerError {
    /// What kind, such as `worker-error`.
    pub kind: String,
    /// One line.
    pub title: String,
    /// All that helps.
    pub description: String,
    /// More for programs: a JSON object.
    pub extra: Value,
}

/// The worker manager.
impl Client {
    /// Trades a proof of identity for credentials. `proof` is what the provider wants, such as
    /// `{"staticSecret": …}`. Use a client without credentials.
    ///
    /// # Errors
    ///
    /// Any [`ApiError`].
    ///
    /// # Cancel safety
    ///
    /// The machine may be registered without knowing its credentials; providers allow to ask again.
    pub async fn register_worker(
        &self,
        provider_id: &str,
        worker: &WorkerName,
        proof: &Value,
    ) -> Result<Registration, ApiError> {
        let body = Register {
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

    /// Trades the secret of the last registration for the next credentials. It is sent once: a secret
    /// whose answer is lost is spent.
    ///
    /// # Errors
    ///
    /// Any [`ApiError`].
    ///
    /// # Cancel safety
    ///
    /// Not safe: the secret may be spent and its successor unknown.
    pub async fn reregister_worker(
        &self,
        worker: &WorkerName,
        secret: &SecretString,
    ) -> Result<Registration, ApiError> {
        let body = Reregister {
            worker,
            secret: secret.expose_secret(),
        };
        let path = path("worker-manager", ["worker", "reregister"]);
        let call = Call::with_json("workerManager.reregisterWorker", Method::POST, path, &body)?;
        self.call(call.once()).await
    }

    /// Asks whether the worker should go.
    ///
    /// # Errors
    ///
    /// Any [`ApiError`].
    ///
    /// # Cancel safety
    ///
    /// Safe: it only reads.
    pub async fn should_worker_terminate(
        &self,
        worker: &WorkerName,
    ) -> Result<TerminationNotice, ApiError> {
        let path = of_worker(worker, Some("should-terminate"));
        self.call(Call::get("workerManager.shouldWorkerTerminate", path))
            .await
    }

    /// Tells the people who run the pool of a problem.
    ///
    /// # Errors
    ///
    /// Any [`ApiError`].
    ///
    /// # Cancel safety
    ///
    /// The report may or may not arrive; sent again, it may arrive twice.
    pub async fn report_worker_error(
        &self,
        worker: &WorkerName,
        error: &WorkerError,
    ) -> Result<(), ApiError> {
        let path = path(
            "worker-manager",
            ["worker-pool-errors", &worker.worker_pool_id],
        );
        let mut body = json!(error);
        body["workerGroup"] = json!(worker.worker_group);
        body["workerId"] = json!(worker.worker_id);
        let call = Call::with_json("workerManager.reportWorkerError", Method::POST, path, &body)?;
        self.call_for_effect(call).await
    }

    /// Takes the worker out of its pool; the queue then resolves what it runs.
    ///
    /// # Errors
    ///
    /// Any [`ApiError`].
    ///
    /// # Cancel safety
    ///
    /// The worker may or may not be removed. The same request can be sent again.
    pub async fn remove_worker(&self, worker: &WorkerName) -> Result<(), ApiError> {
        let call = Call::new(
            "workerManager.removeWorker",
            Method::DELETE,
            of_worker(worker, None),
        );
        self.call_for_effect(call).await
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Register<'a> {
    provider_id: &'a str,
    #[serde(flatten)]
    worker: &'a WorkerName,
    worker_identity_proof: &'a Value,
}

#[derive(Serialize)]
struct Reregister<'a> {
    #[serde(flatten)]
    worker: &'a WorkerName,
    secret: &'a str,
}

fn of_worker(worker: &WorkerName, what: Option<&str>) -> String {
    let name = [
        "workers",
        &worker.worker_pool_id,
        &worker.worker_group,
        &worker.worker_id,
    ];
    path("worker-manager", name.into_iter().chain(what))
}
