//! The control endpoint: faults and clock for programs in other languages.
//!
//! It requires no credentials: every process on this machine may use it. Requests by web pages of other sites are
//! refused.
//!
//! * `POST /control/faults` with a [`FaultRule`] injects a fault, `GET` lists the rules with their
//!   hits, and `DELETE` removes all.
//! * `POST /control/clock` with `{"advance": seconds}` moves the clock forward, and `GET` returns
//!   the time.

use std::time::Duration;

use http::Method;
use http_body_util::{BodyExt, Limited};
use hyper::Request;
use hyper::body::Incoming;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::call::Reply;
use crate::context::ServerContext;
use crate::error::RequestError;
use crate::faults::FaultRule;
use crate::router::method_names;
use crate::time::millis;

/// The largest payload, in bytes.
const MAX_PAYLOAD_SIZE: usize = 64 * 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClockChange {
    /// In seconds.
    advance: f64,
}

/// Handles a request to the control endpoint. Returns `None` for an unknown path or verb.
pub(crate) async fn handle(context: &ServerContext, request: Request<Incoming>) -> Option<Reply> {
    let verb = request.method().clone();
    let result = match (verb, request.uri().path()) {
        (Method::GET, "/control/faults") => Ok(list_faults(context)),
        (Method::DELETE, "/control/faults") => {
            context.faults.clear();
            Ok(list_faults(context))
        }
        (Method::POST, "/control/faults") => parse::<FaultRule>(request)
            .await
            .and_then(|rule| inject(context, rule)),
        (Method::GET, "/control/clock") => Ok(clock(context)),
        (Method::POST, "/control/clock") => parse::<ClockChange>(request)
            .await
            .and_then(|change| advance(context, change)),
        _ => return None,
    };
    let reply = match result {
        Ok(body) => Reply::json(&body),
        Err(error) => {
            Reply::json(&json!({ "code": error.code.to_string(), "message": error.message }))
                .map(|reply| reply.with_status(error.status_code()))
        }
    };
    reply.ok()
}

fn inject(context: &ServerContext, rule: FaultRule) -> Result<Value, RequestError> {
    rule.check_method(method_names())
        .map_err(|error| RequestError::input(error.to_string()))?;
    context.faults.inject(rule);
    Ok(list_faults(context))
}

fn list_faults(context: &ServerContext) -> Value {
    let rules = context.faults.list().into_iter();
    let rules = rules.map(|(rule, hits)| json!({ "rule": rule, "hits": hits }));
    json!({ "faults": rules.collect::<Vec<_>>() })
}

fn clock(context: &ServerContext) -> Value {
    json!({ "now": millis(context.now()) })
}

fn advance(context: &ServerContext, change: ClockChange) -> Result<Value, RequestError> {
    // Fails for negative numbers, because timers that have run cannot be undone.
    let by = Duration::try_from_secs_f64(change.advance)
        .map_err(|error| RequestError::input(error.to_string()))?;
    context.advance(by);
    context.check_storage()?;
    Ok(clock(context))
}

async fn parse<T: DeserializeOwned>(request: Request<Incoming>) -> Result<T, RequestError> {
    let body = Limited::new(request.into_body(), MAX_PAYLOAD_SIZE);
    let body = body.collect().await;
    let body = body.map_err(|error| RequestError::input(error.to_string()))?;
    serde_json::from_slice(&body.to_bytes()).map_err(|error| RequestError::input(error.to_string()))
}
