//! The services, one module each, below the same root URL.

mod auth;
mod index;
mod object;
mod purge_cache;
pub(crate) mod queue;
pub(crate) mod s3;
mod secrets;
mod worker_manager;

use serde_json::json;

use crate::call::{ApiResult, Call, Reply};
use crate::context::ServerContext;
use crate::method::{Authentication, Method};

/// The services with their methods, in the order in which the router tries them.
pub(crate) const SERVICES: &[(&str, &[&[Method]])] = &[
    ("auth", auth::METHODS),
    ("index", &[index::METHODS]),
    ("object", &[object::METHODS]),
    ("purge-cache", &[purge_cache::METHODS]),
    ("queue", queue::METHODS),
    ("secrets", &[secrets::METHODS]),
    ("worker-manager", worker_manager::METHODS),
];

/// The method that every service has.
pub(crate) const PING: Method =
    Method::get("ping", "/ping", ping).with_authentication(Authentication::Skipped);

fn ping(context: &ServerContext, _: &Call) -> ApiResult {
    Reply::json(&json!({ "alive": true, "uptime": context.started.elapsed().as_secs_f64() }))
}
