//! Worker pools and their workers.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::call::{ApiResult, Call, Reply};
use crate::context::ServerContext;
use crate::error::RequestError;
use crate::method::Method;
use crate::schema::{Field, Schema, ValueType};
use crate::scopes::Expression;
use crate::slugid::slugid;
use crate::state::pools::{PoolWorker, WorkerKey, WorkerPool};
use crate::time::millis;

/// The size of `extra` of an error, in bytes. The journal stores a pool with its errors in one record.
const MAX_EXTRA_SIZE: usize = 64 * 1024;

const POOL_PATH: &str = "/worker-pool/<workerPoolId>";
const WORKER_PATH: &str = "/workers/<workerPoolId>/<workerGroup>/<workerId>";

pub(super) const METHODS: &[Method] = &[
    Method::put("createWorkerPool", POOL_PATH, create_pool).with_schema(&CREATE_POOL),
    Method::get("workerPool", POOL_PATH, pool),
    Method::put("createWorker", WORKER_PATH, create_worker).with_schema(&CREATE_WORKER),
    Method::get("worker", WORKER_PATH, worker),
    Method::delete("removeWorker", WORKER_PATH, remove_worker),
    Method::get(
        "shouldWorkerTerminate",
        "/workers/<workerPoolId>/<workerGroup>/<workerId>/should-terminate",
        should_terminate,
    ),
    Method::post(
        "reportWorkerError",
        "/worker-pool-errors/<workerPoolId>",
        report_error,
    )
    .with_schema(&REPORT_ERROR),
];

const CREATE_POOL: Schema = Schema {
    name: "worker-manager/v1/create-worker-pool-request.json",
    fields: &[
        Field::required("providerId", ValueType::Name(38)),
        Field::required("description", ValueType::Text(10_240)),
        Field::required("config", ValueType::Object),
        Field::required("owner", ValueType::Text(255)),
        Field::required("emailOnError", ValueType::Boolean),
    ],
};

const CREATE_WORKER: Schema = Schema {
    name: "worker-manager/v1/create-worker-request.json",
    fields: &[
        Field::required("expires", ValueType::Timestamp),
        Field::default("capacity", ValueType::Integer(1, i64::MAX), || json!(1)),
        Field::required(
            "providerInfo",
            ValueType::Fields(&[Field::required("staticSecret", ValueType::Text(44))]),
        ),
    ],
};

const REPORT_ERROR: Schema = Schema {
    name: "worker-manager/v1/report-worker-error-request.json",
    fields: &[
        Field::required("workerGroup", ValueType::Name(38)),
        Field::required("workerId", ValueType::Name(38)),
        Field::required("kind", ValueType::Text(128)),
        Field::required("title", ValueType::Text(128)),
        Field::required("description", ValueType::Text(10_240)),
        Field::default("extra", ValueType::Object, || json!({})),
    ],
};

fn worker_key(call: &Call) -> WorkerKey {
    let text = |name: &str| call.param(name).to_owned();
    (text("workerPoolId"), text("workerGroup"), text("workerId"))
}

fn require_worker_scope(call: &Call, action: &str) -> Result<WorkerKey, RequestError> {
    let (pool, group, id) = worker_key(call);
    call.require_scope(format!("worker-manager:{action}:{pool}/{group}/{id}"))?;
    Ok((pool, group, id))
}

fn create_pool(context: &ServerContext, call: &Call) -> ApiResult {
    let id = call.param("workerPoolId");
    call.require_scope(format!("worker-manager:create-worker-pool:{id}"))?;
    let pool = WorkerPool::new(id, call.payload.clone(), call.now);
    let definition = pool.definition.clone();
    context.update(|state| {
        if state.pools.by_id.contains_key(id) {
            return Err(RequestError::conflict("Worker pool already exists"));
        }
        state.pools.by_id.insert(id.to_owned(), pool);
        Ok(())
    })?;
    Reply::json(&definition)
}

fn pool_not_found() -> RequestError {
    RequestError::not_found("Worker pool does not exist")
}

fn pool(context: &ServerContext, call: &Call) -> ApiResult {
    let pool = call.param("workerPoolId");
    call.require_scope(format!("worker-manager:get-worker-pool:{pool}"))?;
    let found = context.read(|state| {
        state
            .pools
            .by_id
            .get(pool)
            .map(|pool| pool.definition.clone())
    });
    Reply::json(&found.ok_or_else(pool_not_found)?)
}

fn create_worker(context: &ServerContext, call: &Call) -> ApiResult {
    let key = require_worker_scope(call, "create-worker")?;
    let secret = call.payload["providerInfo"]["staticSecret"]
        .as_str()
        .unwrap_or_default();
    let mut worker = PoolWorker::new(secret, call.instant("expires"), call.now);
    worker.capacity = call.payload["capacity"].as_u64().unwrap_or(1);
    let body = describe(&key, &worker);
    context.update(|state| {
        if !state.pools.by_id.contains_key(&key.0) {
            return Err(pool_not_found());
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

fn worker_not_found() -> RequestError {
    RequestError::not_found("Worker not found")
}

fn worker(context: &ServerContext, call: &Call) -> ApiResult {
    let key = require_worker_scope(call, "get-worker")?;
    let body = context.read(|state| {
        state
            .pools
            .workers
            .get(&key)
            .map(|worker| describe(&key, worker))
    });
    Reply::json(&body.ok_or_else(worker_not_found)?)
}

fn remove_worker(context: &ServerContext, call: &Call) -> ApiResult {
    let key = require_worker_scope(call, "remove-worker")?;
    let found = context.update(|state| {
        let worker = state.pools.workers.get_mut(&key);
        worker.map(|worker| worker.removed = true)
    });
    found.ok_or_else(worker_not_found)?;
    Reply::json(&json!({}))
}

fn should_terminate(context: &ServerContext, call: &Call) -> ApiResult {
    let key = require_worker_scope(call, "should-worker-terminate")?;
    let reason = context.read(|state| {
        state
            .pools
            .workers
            .get(&key)
            .map(|worker| worker.terminate.clone())
    });
    let reason = reason.ok_or_else(worker_not_found)?;
    let body =
        json!({ "terminate": reason.is_some(), "reason": reason.as_deref().unwrap_or("none") });
    Reply::json(&body)
}

fn report_error(context: &ServerContext, call: &Call) -> ApiResult {
    let pool = call.param("workerPoolId");
    let (group, id) = (call.text("workerGroup"), call.text("workerId"));
    call.require(Expression::all([
        Expression::scope(format!("assume:worker-pool:{pool}")),
        Expression::scope(format!("assume:worker-id:{group}/{id}")),
    ]))?;
    let mut extra = call.payload["extra"].clone();
    if extra.to_string().len() > MAX_EXTRA_SIZE {
        let message = format!("`extra` may have at most {MAX_EXTRA_SIZE} bytes");
        return Err(RequestError::input(message));
    }
    extra["workerGroup"] = json!(group);
    extra["workerId"] = json!(id);
    let error = json!({
        "errorId": slugid(),
        "workerPoolId": pool,
        "reported": millis(call.now),
        "kind": call.payload["kind"],
        "title": call.payload["title"],
        "description": call.payload["description"],
        "extra": extra,
    });
    context.update(|state| {
        let pool = state.pools.by_id.get_mut(&pool.to_owned());
        let pool = pool.ok_or_else(pool_not_found)?;
        pool.add_error(error.clone());
        Ok::<_, RequestError>(())
    })?;
    Reply::json(&error)
}
