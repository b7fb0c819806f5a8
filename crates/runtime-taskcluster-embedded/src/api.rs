//! Handles a request to a service: reads the payload, authenticates the caller, runs the method.

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::Request;
use hyper::body::Incoming;
use serde_json::{Value, json};

use crate::call::{ApiResult, Call, Caller, Reply};
use crate::context::ServerContext;
use crate::error::{ErrorCode, RequestError};
use crate::faults::HandlerFaults;
use crate::hawk::{self, ClientsAndRoles, RequestToAuthenticate, Signer};
use crate::method::{Authentication, Handler, Method};
use crate::request::{header_text, is_json, parse_query, split_host};
use crate::router::{Route, check_params};
use crate::test_client::TestClient;

/// The largest payload that a service accepts, in bytes.
const MAX_PAYLOAD_SIZE: usize = 10 * 1024 * 1024;

/// Handles one request to a service.
pub(crate) async fn handle(
    context: &ServerContext,
    route: Route,
    request: Request<Incoming>,
    faults: HandlerFaults,
) -> Reply {
    let (head, body) = request.into_parts();
    let mut call = Call {
        params: route.params,
        query: parse_query(head.uri.query().unwrap_or_default()),
        payload: json!({}),
        caller: Caller {
            signer: None,
            anonymous: context.anonymous(),
        },
        now: context.now(),
        faults,
    };
    let result = match read_body(body).await {
        Ok(body) => run(context, route.method, &mut call, &head, &body).await,
        Err(error) => Err(error),
    };
    result.unwrap_or_else(|error| error_reply(route.method, &call, &error))
}

async fn run(
    context: &ServerContext,
    method: &Method,
    call: &mut Call,
    head: &Parts,
    body: &[u8],
) -> ApiResult {
    // The order of the real services: a malformed URL or payload is a 400 even without credentials.
    // The handler checks the scopes, since they depend on the payload.
    check_params(&call.params)?;
    if let Some(schema) = method.schema {
        call.payload = parse_payload(call, &head.headers, body)?;
        schema.check(&mut call.payload, context.is_stored())?;
    }
    call.caller.signer = match method.authentication {
        Authentication::Clients => authenticate(context, call, head, body)?,
        Authentication::TestClient(scopes) => {
            let client = TestClient::new(context, scopes(&call.payload));
            authenticate(&client, call, head, body)?
        }
        Authentication::Skipped => None,
    };
    // After a failure, memory and journal differ: no later change may be based on it.
    context.check_storage()?;
    let reply = match method.handler {
        Handler::Sync(handler) => handler(context, call),
        Handler::Async(handler) => handler(context, call).await,
    };
    // The handler has changed the state in memory; only a stored change may be acknowledged.
    context.check_storage()?;
    reply
}

async fn read_body(body: Incoming) -> Result<Bytes, RequestError> {
    let limited = Limited::new(body, MAX_PAYLOAD_SIZE);
    match limited.collect().await {
        Ok(body) => Ok(body.to_bytes()),
        // A real service answers a payload that is too large with a 500, too.
        Err(error) => Err(RequestError::new(
            ErrorCode::InternalServerError,
            format!("Internal Server Error, the payload could not be read: {error}."),
        )),
    }
}

fn parse_payload(call: &mut Call, headers: &HeaderMap, body: &[u8]) -> Result<Value, RequestError> {
    let content_type = header_text(headers, CONTENT_TYPE);
    let malformed = |message| RequestError::new(ErrorCode::MalformedPayload, message);
    if !is_json(content_type) {
        return Err(malformed(format!(
            "Payload must be JSON with content-type: application/json got content-type: {}",
            content_type.unwrap_or("null")
        )));
    }
    serde_json::from_slice(body).map_err(|error| {
        // The error body repeats the payload; as text, since it is not JSON.
        call.payload = json!(String::from_utf8_lossy(body));
        malformed(format!("Failed to parse JSON: {error}"))
    })
}

fn authenticate(
    clients: &dyn ClientsAndRoles,
    call: &Call,
    head: &Parts,
    body: &[u8],
) -> Result<Option<Signer>, RequestError> {
    let (host, port) = split_host(header_text(&head.headers, HOST).unwrap_or_default());
    let resource = head.uri.path_and_query();
    let signed = RequestToAuthenticate {
        method: head.method.as_str(),
        host,
        port,
        resource: resource.map_or("/", |resource| resource.as_str()),
        authorization: header_text(&head.headers, AUTHORIZATION),
    };
    let signer =
        hawk::authenticate(signed, call.now, clients).map_err(RequestError::unauthorized)?;
    if let Some(signer) = &signer {
        let content_type = header_text(&head.headers, CONTENT_TYPE).unwrap_or_default();
        hawk::check_payload(signer, content_type, body).map_err(RequestError::unauthorized)?;
    }
    Ok(signer)
}

fn error_reply(method: &Method, call: &Call, error: &RequestError) -> Reply {
    let payload = method.public_payload(&call.payload);
    let body = error.body(method.name, &call.params_json(), &payload, call.now);
    let mut reply = Reply::json(&body).unwrap_or_else(|_| Reply {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        headers: HeaderMap::new(),
        body: Vec::new(),
    });
    if error.status_code() == StatusCode::UNAUTHORIZED {
        reply = reply.with_header(WWW_AUTHENTICATE, "hawk");
    }
    reply.with_status(error.status_code())
}
