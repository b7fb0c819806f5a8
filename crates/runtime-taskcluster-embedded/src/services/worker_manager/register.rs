//! Registration of workers, which exchanges a secret for credentials.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::call::{ApiResult, Call, Reply};
use crate::context::{IssuingService, ServerContext};
use crate::credentials::constant_time_eq;
use crate::error::RequestError;
use crate::method::{Method, SecretPart};
use crate::schema::{Field, Schema, ValueType};
use crate::slugid::token;
use crate::state::pools::{PoolWorker, WorkerKey};
use crate::state::secret_text::SecretText;
use crate::time::{after, millis};

pub(super) const METHODS: &[Method] = &[
    Method::post("registerWorker", "/worker/register", register)
        .with_schema(&REGISTER)
        .with_secret_payload(SecretPart::All),
    Method::post("reregisterWorker", "/worker/reregister", reregister)
        .with_schema(&REREGISTER)
        .with_secret_payload(SecretPart::All),
];

const REGISTER: Schema = Schema {
    name: "worker-manager/v1/register-worker-request.json",
    fields: &[
        Field::required("workerPoolId", ValueType::Text(77)),
        Field::required("providerId", ValueType::Name(38)),
        Field::required("workerGroup", ValueType::Name(38)),
        Field::required("workerId", ValueType::Name(38)),
        Field::required("workerIdentityProof", ValueType::Object),
        Field::optional("systemBootTime", ValueType::Timestamp),
    ],
};

const REREGISTER: Schema = Schema {
    name: "worker-manager/v1/reregister-worker-request.json",
    fields: &[
        Field::required("workerPoolId", ValueType::Text(77)),
        Field::required("workerGroup", ValueType::Name(38)),
        Field::required("workerId", ValueType::Name(38)),
        Field::required("secret", ValueType::Text(44)),
    ],
};

/// The default lifetime of credentials.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(96 * 60 * 60);

/// The time between the expiry in the response and that of the credentials.
const EXPIRY_RESERVE: Duration = Duration::from_secs(15 * 60);

fn worker_key(call: &Call) -> WorkerKey {
    let text = |name: &str| call.text(name).to_owned();
    (text("workerPoolId"), text("workerGroup"), text("workerId"))
}

/// Creates the error for a failed registration, which does not reveal the reason.
fn identity_error() -> RequestError {
    RequestError::input("Could not validate the worker's identity, or the worker is not known")
}

fn register(context: &ServerContext, call: &Call) -> ApiResult {
    check_existence(context, call)?;
    let proof = call.payload["workerIdentityProof"]["staticSecret"]
        .as_str()
        .unwrap_or_default();
    let mut body = issue_credentials(context, call, |worker| {
        constant_time_eq(worker.static_secret.expose(), proof)
    })?;
    let config = context.read(|state| {
        let pool = state.pools.by_id.get(call.text("workerPoolId"));
        pool.map(|pool| pool.definition["config"]["workerConfig"].clone())
    });
    body["workerConfig"] = config.filter(Value::is_object).unwrap_or_else(|| json!({}));
    Reply::json(&body)
}

/// Fails if the pool, the provider or the worker does not exist.
fn check_existence(context: &ServerContext, call: &Call) -> Result<(), RequestError> {
    let key = worker_key(call);
    let (has_pool, has_worker) = context.read(|state| {
        let pools = &state.pools;
        (
            pools.by_id.contains_key(&key.0),
            pools.workers.contains_key(&key),
        )
    });
    let (pool, group, id) = key;
    let provider = call.text("providerId");
    if !has_pool {
        let message = format!("Worker pool {pool} does not exist");
        return Err(RequestError::not_found(message));
    }
    if provider != "static" {
        // The only one here. A real deployment may have others.
        let message = format!("Provider {provider} does not exist");
        return Err(RequestError::not_found(message));
    }
    if !has_worker {
        return Err(RequestError::not_found(format!(
            "Worker {group}/{id} in worker pool {pool} does not exist"
        )));
    }
    Ok(())
}

fn reregister(context: &ServerContext, call: &Call) -> ApiResult {
    let (pool, group, id) = worker_key(call);
    call.require_scope(format!(
        "worker-manager:reregister-worker:{pool}/{group}/{id}"
    ))?;
    let given = call.text("secret");
    let matches = |secret: &SecretText| constant_time_eq(secret.expose(), given);
    Reply::json(&issue_credentials(context, call, |worker| {
        worker.registration_secret.as_ref().is_some_and(matches)
    })?)
}

/// Verifies the proof, and returns new credentials with the secret for the next registration.
fn issue_credentials(
    context: &ServerContext,
    call: &Call,
    is_valid: impl Fn(&PoolWorker) -> bool,
) -> Result<Value, RequestError> {
    let key = worker_key(call);
    let secret = token();
    let lifetime = context.update(|state| {
        let lifetime = state
            .pools
            .by_id
            .get(&key.0)
            .and_then(|pool| lifetime(&pool.definition));
        let worker = state
            .pools
            .workers
            .get_mut(&key)
            .filter(|worker| !worker.removed);
        let worker = worker.filter(|worker| worker.expires > call.now && is_valid(worker));
        let worker = worker.ok_or_else(identity_error)?;
        // One use: the secret of this response replaces the one that the worker has just presented.
        worker.registration_secret = Some(SecretText::from(secret.clone()));
        worker.modified = call.now;
        Ok::<_, RequestError>(lifetime.unwrap_or(DEFAULT_LIFETIME))
    })?;
    let expires = after(call.now, lifetime);
    Ok(json!({
        "expires": millis(expires),
        "credentials": worker_credentials(context, call, &key, expires),
        "secret": secret,
    }))
}

fn lifetime(definition: &Value) -> Option<Duration> {
    definition["config"]["lifecycle"]["reregistrationTimeout"]
        .as_u64()
        .map(Duration::from_secs)
}

/// Returns the credentials of a worker.
///
/// They end after the time in the response, so that a worker can reregister at that time.
fn worker_credentials(
    context: &ServerContext,
    call: &Call,
    (pool, group, id): &WorkerKey,
    expires: Timestamp,
) -> Value {
    let worker = format!("{group}/{id}");
    let mut scopes: Vec<_> = ["worker-type", "worker-pool"]
        .map(|kind| format!("assume:{kind}:{pool}"))
        .into();
    scopes.push(format!("assume:worker-id:{worker}"));
    scopes.push(format!("queue:worker-id:{worker}"));
    scopes.extend(["worker-type", "worker-pool"].map(|kind| format!("secrets:get:{kind}:{pool}")));
    scopes.push(format!("queue:claim-work:{pool}"));
    let actions = [
        "remove-worker",
        "reregister-worker",
        "should-worker-terminate",
    ];
    scopes.extend(actions.map(|action| format!("worker-manager:{action}:{pool}/{worker}")));
    let lifetime = call.credentials_lifetime(call.now, after(expires, EXPIRY_RESERVE));
    let client_id = format!("worker/static/{pool}/{worker}");
    json!(context.issue(IssuingService::WorkerManager, client_id, scopes, lifetime))
}
