//! The control endpoint: what the API of the crate does, for programs in other languages.
//!
//! Anybody on this machine may use it; it takes no credentials.
//!
//! * `POST /control/faults` with a [`FaultRule`](super::FaultRule) injects a fault,
//!   `GET` lists them with their hits, `DELETE` removes all.
//! * `POST /control/clock` with `{"advance": seconds}` moves the clock, `GET` tells the time.

use http::{Method, StatusCode};
use http_body_util::BodyExt;
use hyper::Request;
use hyper::body::Incoming;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::time::Duration;

use super::call::Reply;
use super::error::RequestError;
use super::faults::FaultRule;
use super::shared::Shared;
use super::time::millis;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    /// Seconds.
    advance: f64,
}

/// Answers a request to the control endpoint, if there is such a one.
pub(crate) async fn answer(shared: &Shared, request: Request<Incoming>) -> Option<Reply> {
    let verb = request.method().clone();
    let result = match (verb, request.uri().path()) {
        (Method::GET, "/control/faults") => Ok(faults(shared)),
        (Method::DELETE, "/control/faults") => {
            shared.faults.clear();
            Ok(faults(shared))
        }
        (Method::POST, "/control/faults") => parse::<FaultRule>(request).await.map(|rule| {
            shared.faults.inject(rule);
            faults(shared)
        }),
        (Method::GET, "/control/clock") => Ok(clock(shared)),
        (Method::POST, "/control/clock") => parse::<Advance>(request)
            .await
            .and_then(|by| advance(shared, by)),
        _ => return None,
    };
    let reply = match result {
        Ok(body) => Reply::json(&body),
        Err(error) => {
            Reply::json(&json!({ "code": error.code.to_string(), "message": error.message }))
                .map(|reply| reply.with_status(StatusCode::BAD_REQUEST))
        }
    };
    reply.ok()
}

fn faults(shared: &Shared) -> Value {
    let rules = shared.faults.list().into_iter();
    json!({ "faults": rules.map(|(rule, hits)| json!({ "rule": rule, "hits": hits })).collect::<Vec<_>>() })
}

fn clock(shared: &Shared) -> Value {
    json!({ "now": millis(shared.now()) })
}

fn advance(shared: &Shared, by: Advance) -> Result<Value, RequestError> {
    let by = Duration::try_from_secs_f64(by.advance)
        .map_err(|error| RequestError::input(error.to_string()))?;
    shared.advance(by);
    Ok(clock(shared))
}

async fn parse<T: DeserializeOwned>(request: Request<Incoming>) -> Result<T, RequestError> {
    let body = request
        .into_body()
        .collect()
        .await
        .map_err(|error| RequestError::input(error.to_string()))?;
    serde_json::from_slice(&body.to_bytes()).map_err(|error| RequestError::input(error.to_string()))
}
