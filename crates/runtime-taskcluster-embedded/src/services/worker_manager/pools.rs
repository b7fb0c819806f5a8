//! Pools and their workers.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Pool, PoolWorker, WorkerKey};
use crate::call::{Call, Reply};
use crate::error::RequestError;
use crate::router::{Method, Work};
use crate::schema::{Field, Rule, Schema};
use crate::scopes::Expression;
use crate::shared::Shared;
use crate::slug::slug;
use crate::time::millis;

const POOL: &str = "/worker-pool/<workerPoolId>";
const WORKER: &str = "/workers/<workerPoolId>/<workerGroup>/<workerId>";

pub(crate) const METHODS: &[Method] = &[
    Method::new(
        ("worker-manager", "createWorkerPool"),
        ("PUT", POOL),
        Work::Now(create_pool),
    )
    .takes(&CREATE_POOL),
    Method::new(
        ("worker-manager", "workerPool"),
        ("GET", POOL),
        Work::Now(pool),
    ),
    Method::new(
        ("worker-manager", "createWorker"),
        ("PUT", WORKER),
        Work::Now(create_worker),
    )
    .takes(&CREATE_WORKER),
    Method::new(
        ("worker-manager", "worker"),
        ("GET", WORKER),
        Work::Now(worker),
    ),
    Method::new(
        ("worker-manager", "removeWorker"),
        ("DELETE", WORKER),
        Work::Now(remove_worker),
    ),
    Method::new(
        ("worker-manager", "shouldWorkerTerminate"),
        (
            "GET",
            "/workers/<workerPoolId>/<workerGroup>/<workerId>/should-terminate",
        ),
        Work::Now(should_terminate),
    ),
    Method::new(
        ("worker-manager", "reportWorkerError"),
        ("POST", "/worker-pool-errors/<workerPoolId>"),
        Work::Now(report_error),
    )
    .takes(&REPORT_ERROR),
];

const CREATE_POOL: Schema = Schema {
    name: "worker-manager/v1/create-worker-pool-request.json",
    fields: &[
        Field::required("providerId", Rule::Name(38)),
        Field::required("description", Rule::Text(10_240)),
        Field::required("config", Rule::Object),
        Field::required("owner", Rule::Text(255)),
        Field::required("emailOnError", Rule::Flag),
    ],
};

const CREATE_WORKER: Schema = Schema {
    name: "worker-manager/v1/create-worker-request.json",
    fields: &[
        Field::required("expires", Rule::Instant),
        Field::default("capacity", Rule::Integer(1, i64::MAX), || json!(1)),
        Field::required(
            "providerInfo",
            Rule::Fields(&[Field::required("staticSecret", Rule::Text(44))]),
        ),
    ],
};

const REPORT_ERROR: Schema = Schema {
    name: "worker-manager/v1/report-worker-error-request.json",
    fields: &[
        Field::required("workerGroup", Rule::Name(38)),
        Field::required("workerId", Rule::Name(38)),
        Field::required("kind", Rule::Text(128)),
        Field::required("title", Rule::Text(128)),
        Field::required("description", Rule::Text(10_240)),
        Field::default("extra", Rule::Object, || json!({})),
    ],
};

fn worker_key(call: &Call) -> WorkerKey {
    let text = |name: &str| call.param(name).to_owned();
    (text("workerPoolId"), text("workerGroup"), text("workerId"))
}

fn require_for_worker(call: &Call, verb: &str) -> Result<WorkerKey, RequestError> {
    let (pool, group, id) = worker_key(call);
    call.require_scope(format!("worker-manager:{verb}:{pool}/{group}/{id}"))?;
    Ok((pool, group, id))
}

/// Adds to the definition of a pool what answers tell beside it.
pub(super) fn complete(pool: &str, mut definition: Value, now: Timestamp) -> Value {
    definition["workerPoolId"] = json!(pool);
    definition["created"] = json!(millis(now));
    definition["lastModified"] = json!(millis(now));
    let states = ["current", "requested", "running", "stopping", "stopped"];
    for state in states {
        definition[format!("{state}Capacity")] = json!(0);
    }
    for state in &states[1..] {
        definition[format!("{state}Count")] = json!(0);
    }
    definition
}

fn create_pool(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    let pool = call.param("workerPoolId");
    call.require_scope(format!("worker-manager:create-worker-pool:{pool}"))?;
    let definition = complete(pool, call.payload.clone(), call.now);
    shared.update(|state| match state.pools.pools.contains_key(pool) {
        true => Err(RequestError::conflict("Worker pool already exists")),
        false => {
            let new = Pool {
                definition: definition.clone(),
                errors: Vec::new(),
            };
            state.pools.pools.insert(pool.to_owned(), new);
            Ok(())
        }
    })?;
    Reply::json(&definition)
}

fn pool(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    let pool = call.param("workerPoolId");
    call.require_scope(format!("worker-manager:get-worker-pool:{pool}"))?;
    let found = shared.read(|state| {
        state
            .pools
            .pools
            .get(pool)
            .map(|pool| pool.definition.clone())
    });
    Reply::json(&found.ok_or_else(|| RequestError::not_found("Worker pool does not exist"))?)
}

fn create_worker(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    let key = require_for_worker(call, "create-worker")?;
    let secret = call.payload["providerInfo"]["staticSecret"]
        .as_str()
        .unwrap_or_default();
    let mut worker = PoolWorker::new(secret, call.instant("expires"), call.now);
    worker.capacity = call.payload["capacity"].as_u64().unwrap_or(1);
    let body = describe(&key, &worker);
    shared.update(|state| {
        if !state.pools.pools.contains_key(&key.0) {
            return Err(RequestError::not_found("Worker pool does not exist"));
        }
        if state.pools.workers.contains_key(&key) {
            return Err(RequestError::conflict("Worker already exists"));
        }
        state.pools.workers.insert(key, worker);
        Ok(())
    })?;
    Reply::json(&body)
}

fn describe((pool, group, id): &WorkerKey, worker: &PoolWorker) -> Value {
    let instant = |at: Timestamp| json!(millis(at));
    json!({
        "workerPoolId": pool,
        "workerGroup": group,
        "workerId": id,
        "providerId": "static",
        "created": instant(worker.created),
        "expires": instant(worker.expires),
        "state": if worker.removed { "stopped" } else { "running" },
        "capacity": worker.capacity,
        "lastModified": instant(worker.modified),
        "lastChecked": instant(worker.modified),
    })
}

fn no_worker() -> RequestError {
    RequestError::not_found("Worker not found")
}

fn worker(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    let key = require_for_worker(call, "get-worker")?;
    let body = shared.read(|state| {
        state
            .pools
            .workers
            .get(&key)
            .map(|worker| describe(&key, worker))
    });
    Reply::json(&body.ok_or_else(no_worker)?)
}

fn remove_worker(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    let key = require_for_worker(call, "remove-worker")?;
    let found = shared.update(|state| {
        let worker = state.pools.workers.get_mut(&key);
        worker.map(|worker| worker.removed = true)
    });
    found.ok_or_else(no_worker)?;
    Reply::json(&json!({}))
}

fn should_terminate(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    let key = require_for_worker(call, "should-worker-terminate")?;
    let reason = shared.read(|state| {
        state
            .pools
            .workers
            .get(&key)
            .map(|worker| worker.terminate.clone())
    });
    let reason = reason.ok_or_else(no_worker)?;
    let body =
        json!({ "terminate": reason.is_some(), "reason": reason.as_deref().unwrap_or("none") });
    Reply::json(&body)
}

fn report_error(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    let pool = call.param("workerPoolId");
    let (group, id) = (call.text("workerGroup"), call.text("workerId"));
    call.require(Expression::all([
        Expression::scope(format!("assume:worker-pool:{pool}")),
        Expression::scope(format!("assume:worker-id:{group}/{id}")),
    ]))?;
    let mut extra = call.payload["extra"].clone();
    extra["workerGroup"] = json!(group);
    extra["workerId"] = json!(id);
    let error = json!({
        "errorId": slug(),
        "workerPoolId": pool,
        "reported": millis(call.now),
        "kind": call.payload["kind"],
        "title": call.payload["title"],
        "description": call.payload["description"],
        "extra": extra,
    });
    shared.update(|state| {
        let pool = state.pools.pools.get_mut(pool);
        let pool = pool.ok_or_else(|| RequestError::not_found("Worker pool does not exist"))?;
        pool.errors.push(error.clone());
        Ok::<_, RequestError>(())
    })?;
    Reply::json(&error)
}
