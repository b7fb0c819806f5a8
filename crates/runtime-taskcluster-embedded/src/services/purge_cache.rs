//! The purge-cache service: requests to workers to discard caches.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::call::{ApiResult, Call, Reply};
use crate::context::ServerContext;
use crate::method::Method;
use crate::schema::{Field, Schema, ValueType};
use crate::time::{millis, parse};

pub(super) const METHODS: &[Method] = &[
    Method::post("purgeCache", "/purge-cache/<workerPoolId>", purge_cache)
        .with_schema(&PURGE_CACHE),
    Method::get("allPurgeRequests", "/purge-cache/list", all_requests),
    Method::get("purgeRequests", "/purge-cache/<workerPoolId>", requests),
];

const PURGE_CACHE: Schema = Schema {
    name: "purge-cache/v1/purge-cache-request.json",
    fields: &[Field::required("cacheName", ValueType::Text(usize::MAX))],
};

fn purge_cache(context: &ServerContext, call: &Call) -> ApiResult {
    let (pool, cache) = (call.param("workerPoolId"), call.text("cacheName"));
    call.require_scope(format!("purge-cache:{pool}:{cache}"))?;
    let key = (pool.to_owned(), cache.to_owned());
    context.update(|state| state.purges.insert(key, call.now));
    Reply::no_content()
}

fn requests(context: &ServerContext, call: &Call) -> ApiResult {
    let pool = call.param("workerPoolId");
    call.require_scope(format!("purge-cache:purge-requests::{pool}"))?;
    // Inclusive: a worker passes the time of its last request and must not miss one of the same
    // millisecond.
    let since = call
        .query("since")
        .and_then(parse)
        .unwrap_or(Timestamp::MIN);
    let found: Vec<_> = context.read(|state| {
        let newer = state
            .purges
            .iter()
            .filter(|((of, _), before)| of == pool && **before >= since);
        newer.map(entry).collect()
    });
    Reply::json(&json!({ "requests": found }))
}

fn all_requests(context: &ServerContext, call: &Call) -> ApiResult {
    call.require_scope("purge-cache:all-purge-requests")?;
    let page = context.read(|state| call.page(state.purges.iter().map(entry)));
    Reply::page("requests", &page)
}

fn entry(((pool, cache), before): (&(String, String), &Timestamp)) -> Value {
    let (provisioner, worker_type) = pool.split_once('/').unwrap_or((pool, ""));
    json!({
        "provisionerId": provisioner,
        "workerType": worker_type,
        "cacheName": cache,
        "before": millis(*before),
    })
}
