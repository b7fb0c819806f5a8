//! The transfer of requests and responses.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue,
    LOCATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{Method, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use runtime_core::webhook::{Body, Handler, Request, Response};
use runtime_core::{RequestAuthorizer, SignError, error_chain};
use runtime_http::Backoff;
use runtime_http::reqwest::{self, Client};
use tokio::time::sleep;

use super::route::{Route, url_to_sign};

/// The maximum size of a request body in bytes, which is kept for retries. No call of Taskcluster has a larger one.
const MAX_REQUEST_BYTES: usize = 16 << 20;

/// The number of attempts of a request.
const ATTEMPTS: usize = 5;

/// The upper limit of the first delay between attempts, and of all.
const FIRST_DELAY: Duration = Duration::from_millis(250);
const MAX_DELAY: Duration = Duration::from_secs(10);

/// The validity of a signed URL.
const BEWIT_LIFETIME: Duration = Duration::from_secs(3600);

/// The headers of a connection, which are not forwarded.
const CONNECTION_HEADERS: [HeaderName; 6] = [
    CONNECTION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
];

/// Signs and forwards requests.
pub(super) struct Forwarder {
    pub(super) client: Client,
    pub(super) root_url: String,
    /// Limited to the scopes of the task.
    pub(super) authorizer: Arc<dyn RequestAuthorizer>,
}

#[async_trait]
impl Handler for Forwarder {
    async fn handle(&self, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        let Ok(body) = Limited::new(body, MAX_REQUEST_BYTES).collect().await else {
            return text(
                StatusCode::PAYLOAD_TOO_LARGE,
                "the body is too long or was cut off",
            );
        };
        let body = body.to_bytes();
        let path = parts.uri.path_and_query().map_or("/", |it| it.as_str());
        match Route::of(&self.root_url, path) {
            Route::Call(url) => {
                let call = Call {
                    method: parts.method,
                    url,
                    headers: request_headers(parts.headers),
                    body,
                };
                self.forward(&call).await
            }
            Route::Bewit => self.sign(&String::from_utf8_lossy(&body)),
            Route::Invalid(reason) => text(StatusCode::NOT_FOUND, reason),
        }
    }
}

/// A request to a service.
struct Call {
    method: Method,
    url: String,
    headers: HeaderMap,
    body: bytes::Bytes,
}

impl Forwarder {
    /// Sends a call until it is answered with another status than 5xx, or the attempts are used up.
    async fn forward(&self, call: &Call) -> Response {
        let mut backoff = Backoff::new(FIRST_DELAY);
        for attempt in 1..=ATTEMPTS {
            // A signature is valid for a single request.
            let signature = match self.authorizer.sign_header(&call.method, &call.url, None) {
                Ok(signature) => signature,
                Err(error) => return unsigned(&error),
            };
            let request = self
                .client
                .request(call.method.clone(), &call.url)
                .headers(call.headers.clone())
                .header(AUTHORIZATION, signature)
                .body(call.body.clone());
            let is_last = attempt == ATTEMPTS;
            match request.send().await {
                Ok(response) if is_last || !response.status().is_server_error() => {
                    return pass_on(response);
                }
                Err(error) if is_last => {
                    let error = error_chain(&error.without_url());
                    let message = format!("cannot reach Taskcluster: {error}");
                    return text(StatusCode::BAD_GATEWAY, &message);
                }
                Ok(_) | Err(_) => sleep(backoff.next_delay(MAX_DELAY)).await,
            }
        }
        text(StatusCode::BAD_GATEWAY, "cannot reach Taskcluster")
    }

    fn sign(&self, body: &str) -> Response {
        let Some(url) = url_to_sign(&self.root_url, body) else {
            let message = "expected a URL of the deployment, or a path in it, as the body";
            return text(StatusCode::BAD_REQUEST, message);
        };
        match self.authorizer.sign_url(&url, BEWIT_LIFETIME) {
            Ok(signed) => {
                let mut response = text(StatusCode::SEE_OTHER, signed.expose());
                if let Ok(location) = HeaderValue::try_from(signed.expose()) {
                    response.headers_mut().insert(LOCATION, location);
                }
                response
            }
            Err(error) => unsigned(&error),
        }
    }
}

fn request_headers(mut headers: HeaderMap) -> HeaderMap {
    // The client adds the length and the host of its request. The body was received, so nothing waits for a consent.
    for name in [AUTHORIZATION, CONTENT_LENGTH, EXPECT, HOST] {
        headers.remove(name);
    }
    without_connection_headers(headers)
}

fn without_connection_headers(mut headers: HeaderMap) -> HeaderMap {
    for name in CONNECTION_HEADERS {
        headers.remove(name);
    }
    headers
}

fn pass_on(response: reqwest::Response) -> Response {
    let response = http::Response::<reqwest::Body>::from(response);
    let (mut parts, body) = response.into_parts();
    parts.headers = without_connection_headers(parts.headers);
    Response::from_parts(parts, Body::new(body))
}

/// Returns the response to a request that cannot be signed, for example because the run has ended.
fn unsigned(error: &SignError) -> Response {
    text(StatusCode::INTERNAL_SERVER_ERROR, &error_chain(error))
}

fn text(status: StatusCode, message: &str) -> Response {
    let mut response = Response::new(format!("{message}\n").into());
    *response.status_mut() = status;
    response
}
