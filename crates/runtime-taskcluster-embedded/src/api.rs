//! From a request to the method that it calls, and back.

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::Request;
use hyper::body::Incoming;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::call::{Call, Caller, Quirks, Reply};
use super::error::{ErrorCode, RequestError};
use super::hawk::{self, Directory, Signed, Signer};
use super::router::{self, Route, Work};
use super::shared::Shared;

/// The largest payload that a service reads.
const LARGEST_PAYLOAD: usize = 10 * 1024 * 1024;

/// Answers a call.
pub(super) async fn answer(
    shared: &Shared,
    route: Route,
    request: Request<Incoming>,
    quirks: Quirks,
) -> Reply {
    let (head, body) = request.into_parts();
    let mut call = Call {
        method: route.method,
        params: route.params,
        query: parse_query(head.uri.query().unwrap_or_default()),
        payload: json!({}),
        caller: Caller {
            signer: None,
            anonymous: shared.anonymous(),
        },
        now: shared.now(),
        quirks,
    };
    let result = match read_body(body).await {
        Ok(body) => run(shared, &mut call, &head, &body).await,
        Err(error) => Err(error),
    };
    match result {
        Ok(reply) => reply,
        Err(error) => refusal(&call, &error),
    }
}

async fn run(
    shared: &Shared,
    call: &mut Call,
    head: &http::request::Parts,
    body: &[u8],
) -> Result<Reply, RequestError> {
    router::check_params(&call.params)?;
    if let Some(schema) = call.method.schema {
        call.payload = parse_payload(call, &head.headers, body)?;
        schema.check(&mut call.payload)?;
    }
    if !call.method.is_open {
        let signer = authenticate(shared, call, head)?;
        if let Some(signer) = &signer {
            let kind = text(&head.headers, CONTENT_TYPE).unwrap_or_default();
            hawk::check_payload(signer, kind, body).map_err(RequestError::unauthorized)?;
        }
        call.caller.signer = signer;
    }
    match call.method.work {
        Work::Now(work) => work(shared, call),
        Work::Later(work) => work(shared, call).await,
    }
}

/// Reads a payload as long as the services read one.
async fn read_body(body: Incoming) -> Result<Bytes, RequestError> {
    let limited = Limited::new(body, LARGEST_PAYLOAD);
    match limited.collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) => Err(RequestError::new(
            ErrorCode::InternalServerError,
            format!("Internal Server Error, the payload could not be read: {error}."),
        )),
    }
}

fn parse_payload(call: &mut Call, headers: &HeaderMap, body: &[u8]) -> Result<Value, RequestError> {
    let kind = text(headers, CONTENT_TYPE);
    let is_json = kind.is_some_and(|kind| {
        kind.split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .eq_ignore_ascii_case("application/json")
    });
    let malformed = |message| RequestError::new(ErrorCode::MalformedPayload, message);
    if !is_json {
        return Err(malformed(format!(
            "Payload must be JSON with content-type: application/json got content-type: {}",
            kind.unwrap_or("null")
        )));
    }
    serde_json::from_slice(body).map_err(|error| {
        call.payload = json!(String::from_utf8_lossy(body));
        malformed(format!("Failed to parse JSON: {error}"))
    })
}

fn authenticate(
    shared: &Shared,
    call: &Call,
    head: &http::request::Parts,
) -> Result<Option<Signer>, RequestError> {
    let host = text(&head.headers, http::header::HOST).unwrap_or_default();
    let (host, port) = split_host(host);
    let signed = Signed {
        method: head.method.as_str(),
        host,
        port,
        resource: head
            .uri
            .path_and_query()
            .map_or("/", |resource| resource.as_str()),
        authorization: text(&head.headers, AUTHORIZATION),
    };
    hawk::authenticate(signed, call.now, shared).map_err(RequestError::unauthorized)
}

fn refusal(call: &Call, error: &RequestError) -> Reply {
    let body = error.body(
        call.method.name,
        &call.params_json(),
        &call.payload,
        call.now,
    );
    let mut reply = Reply::json(&body).unwrap_or_else(|_| Reply {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        headers: HeaderMap::new(),
        body: Vec::new(),
    });
    if error.status_code() == StatusCode::UNAUTHORIZED {
        reply = reply.with_header(http::header::WWW_AUTHENTICATE, "hawk");
    }
    reply.with_status(error.status_code())
}

/// A header, if it is there and is text.
pub(super) fn text(headers: &HeaderMap, name: http::header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// Splits the `Host` header; 80 is the port that it leaves out.
fn split_host(host: &str) -> (&str, u16) {
    let parts = host.rsplit_once(':');
    let parsed = parts.and_then(|(host, port)| Some((host, port.parse().ok()?)));
    parsed.unwrap_or((host, 80))
}

/// The decoded pairs of a query.
pub(super) fn parse_query(query: &str) -> Vec<(String, String)> {
    let decode = |text: &str| {
        let text = text.replace('+', " ");
        percent_decode_str(&text).decode_utf8_lossy().into_owned()
    };
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}
