//! Purge requests: which caches workers must throw away.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::call::{Call, Reply, paginate};
use crate::error::RequestError;
use crate::router::{Method, Work};
use crate::schema::{Field, Rule, Schema};
use crate::shared::Shared;
use crate::time::{millis, parse};

pub(crate) const METHODS: &[Method] = &[
    Method::new(
        ("purge-cache", "purgeCache"),
        ("POST", "/purge-cache/<workerPoolId>"),
        Work::Now(purge_cache),
    )
    .takes(&PURGE_CACHE),
    Method::new(
        ("purge-cache", "allPurgeRequests"),
        ("GET", "/purge-cache/list"),
        Work::Now(all_requests),
    ),
    Method::new(
        ("purge-cache", "purgeRequests"),
        ("GET", "/purge-cache/<workerPoolId>"),
        Work::Now(requests),
    ),
];

const PURGE_CACHE: Schema = Schema {
    name: "purge-cache/v1/purge-cache-request.json",
    fields: &[Field::required("cacheName", Rule::Text(usize::MAX))],
};

/// By worker pool and cache name, the instant before which caches are to go.
pub(crate) type Purges = BTreeMap<(String, String), Timestamp>;

fn purge_cache(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    let (pool, cache) = (call.param("workerPoolId"), call.text("cacheName"));
    call.require_scope(format!("purge-cache:{pool}:{cache}"))?;
    let key = (pool.to_owned(), cache.to_owned());
    shared.update(|state| state.purges.insert(key, call.now));
    Reply::no_content()
}

fn requests(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    let pool = call.param("workerPoolId");
    call.require_scope(format!("purge-cache:purge-requests::{pool}"))?;
    let since = call
        .query("since")
        .and_then(parse)
        .unwrap_or(Timestamp::MIN);
    let found: Vec<_> = shared.read(|state| {
        let newer = state
            .purges
            .iter()
            .filter(|((of, _), before)| of == pool && **before >= since);
        newer.map(entry).collect()
    });
    Reply::json(&json!({ "requests": found }))
}

fn all_requests(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    call.require_scope("purge-cache:all-purge-requests")?;
    let (page, next) = shared.read(|state| paginate(state.purges.iter().map(entry), call.page()));
    let mut body = json!({ "requests": page });
    if let Some(next) = next {
        body["continuationToken"] = json!(next);
    }
    Reply::json(&body)
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
