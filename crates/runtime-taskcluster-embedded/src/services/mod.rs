//! The services, one module each, all under one root URL.

pub(crate) mod auth;
pub(crate) mod index;
pub(crate) mod object;
pub(crate) mod purge_cache;
pub(crate) mod queue;
pub(crate) mod s3;
pub(crate) mod secrets;
pub(crate) mod worker_manager;

use serde_json::json;

use super::call::{Call, Reply};
use super::error::RequestError;
use super::router::{Method, Work};
use super::shared::Shared;

/// The services that answer.
pub(crate) const NAMES: &[&str] = &[
    "auth",
    "index",
    "object",
    "purge-cache",
    "queue",
    "secrets",
    "worker-manager",
];

/// What every service has.
pub(crate) const PING: Method = Method::new(("", "ping"), ("GET", "/ping"), Work::Now(ping));

/// The methods of a service, in the order in which they are tried.
pub(crate) fn methods(service: &str) -> &'static [&'static [Method]] {
    match service {
        "auth" => auth::METHODS,
        "index" => &[index::METHODS],
        "object" => &[object::METHODS],
        "purge-cache" => &[purge_cache::METHODS],
        "queue" => &[
            queue::claims::METHODS,
            queue::reports::METHODS,
            queue::tasks::METHODS,
            queue::artifacts::METHODS,
            queue::downloads::METHODS,
            queue::groups::METHODS,
            queue::queues::METHODS,
            queue::workers::METHODS,
        ],
        "secrets" => &[secrets::METHODS],
        "worker-manager" => worker_manager::METHODS,
        _ => &[],
    }
}

fn ping(shared: &Shared, _: &Call) -> Result<Reply, RequestError> {
    Reply::json(&json!({ "alive": true, "uptime": shared.started.elapsed().as_secs_f64() }))
}
