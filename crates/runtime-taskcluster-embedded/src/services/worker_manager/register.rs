//! Registration: a worker proves who it is and gets credentials for some days.

use std::time::Duration;

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::{PoolWorker, WorkerKey};
use crate::call::{Call, Reply};
use crate::credentials::same;
use crate::error::RequestError;
use crate::router::{Method, Work};
use crate::schema::{Field, Rule, Schema};
use crate::shared::{Service, Shared};
use crate::slug::token;
use crate::time::{after, before, millis};

pub(crate) const METHODS: &[Method] = &[
    Method::new(
        ("worker-manager", "registerWorker"),
        ("POST", "/worker/register"),
        Work::Now(register),
    )
    .takes(&REGISTER),
    Method::new(
        ("worker-manager", "reregisterWorker"),
        ("POST", "/worker/reregister"),
        Work::Now(reregister),
    )
    .takes(&REREGISTER),
];

const REGISTER: Schema = Schema {
    name: "worker-manager/v1/register-worker-request.json",
    fields: &[
        Field::required("workerPoolId", Rule::Text(77)),
        Field::required("providerId", Rule::Name(38)),
        Field::required("workerGroup", Rule::Name(38)),
        Field::required("workerId", Rule::Name(38)),
        Field::required("workerIdentityProof", Rule::Object),
        Field::optional("systemBootTime", Rule::Instant),
    ],
};

const REREGISTER: Schema = Schema {
    name: "worker-manager/v1/reregister-worker-request.json",
    fields: &[
        Field::required("workerPoolId", Rule::Text(77)),
        Field::required("workerGroup", Rule::Name(38)),
        Field::required("workerId", Rule::Name(38)),
        Field::required("secret", Rule::Text(44)),
    ],
};

/// How long credentials last unless the pool says otherwise.
const LIFETIME: Duration = Duration::from_secs(96 * 60 * 60);

fn worker_key(call: &Call) -> WorkerKey {
    let text = |name: &str| call.text(name).to_owned();
    (text("workerPoolId"), text("workerGroup"), text("workerId"))
}

/// Refuses without telling what of the claim is wrong.
fn unproven() -> RequestError {
    RequestError::input("Could not validate the worker's identity, or the worker is not known")
}

fn register(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    if call.text("providerId") != "static" {
        return Err(RequestError::input(
            "the embedded Taskcluster has only the provider `static`",
        ));
    }
    let proof = call.payload["workerIdentityProof"]["staticSecret"]
        .as_str()
        .unwrap_or_default();
    let mut body = renew(shared, call, |worker| {
        same(worker.static_secret.expose_secret(), proof)
    })?;
    let config = shared.read(|state| {
        let pool = state.pools.pools.get(call.text("workerPoolId"));
        pool.map(|pool| pool.definition["config"]["workerConfig"].clone())
    });
    body["workerConfig"] = config.filter(Value::is_object).unwrap_or_else(|| json!({}));
    Reply::json(&body)
}

fn reregister(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    let (pool, group, id) = worker_key(call);
    call.require_scope(format!(
        "worker-manager:reregister-worker:{pool}/{group}/{id}"
    ))?;
    let given = call.text("secret");
    let known = |secret: &SecretString| same(secret.expose_secret(), given);
    Reply::json(&renew(shared, call, |worker| {
        worker.secret.as_ref().is_some_and(known)
    })?)
}

/// Checks the proof, and gives new credentials and the secret for the next time.
fn renew(
    shared: &Shared,
    call: &Call,
    is_proven: impl Fn(&PoolWorker) -> bool,
) -> Result<Value, RequestError> {
    let key = worker_key(call);
    let secret = token();
    let lifetime = shared.update(|state| {
        let lifetime = state
            .pools
            .pools
            .get(&key.0)
            .and_then(|pool| lifetime(&pool.definition));
        let worker = state
            .pools
            .workers
            .get_mut(&key)
            .filter(|worker| !worker.removed);
        let worker = worker.filter(|worker| worker.expires > call.now && is_proven(worker));
        let worker = worker.ok_or_else(unproven)?;
        worker.secret = Some(SecretString::from(secret.clone()));
        worker.modified = call.now;
        Ok::<_, RequestError>(lifetime.unwrap_or(LIFETIME))
    })?;
    let expires = after(call.now, lifetime);
    Ok(json!({
        "expires": millis(expires),
        "credentials": credentials(shared, call, &key, expires),
        "secret": secret,
    }))
}

fn lifetime(definition: &Value) -> Option<Duration> {
    definition["config"]["lifecycle"]["reregistrationTimeout"]
        .as_u64()
        .map(Duration::from_secs)
}

/// The credentials of a worker end a little after the time that the answer tells.
fn credentials(
    shared: &Shared,
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
    let verbs = [
        "remove-worker",
        "reregister-worker",
        "should-worker-terminate",
    ];
    scopes.extend(verbs.map(|verb| format!("worker-manager:{verb}:{pool}/{worker}")));
    let lifetime = match call.quirks.expired_credentials {
        false => (call.now, after(expires, Duration::from_secs(15 * 60))),
        true => (
            before(call.now, LIFETIME),
            before(call.now, Duration::from_secs(60 * 60)),
        ),
    };
    let client_id = format!("worker/static/{pool}/{worker}");
    json!(shared.issue(Service::WorkerManager, client_id, scopes, lifetime))
}
