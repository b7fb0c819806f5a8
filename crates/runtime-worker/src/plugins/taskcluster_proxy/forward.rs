//! The transfer of requests and responses.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue,
    LOCATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{Method, StatusCode};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Limited};
use runtime_core::webhook::{Body, Handler, Request, Response};
use runtime_core::{RequestAuthorizer, SignError, error_chain};
use runtime_http::Backoff;
use runtime_http::reqwest::{self, Client};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::sleep;

use super::route::{Route, url_to_sign};

/// The maximum size of a request body in bytes, which is kept for retries. No call of Taskcluster has a larger body.
const MAX_REQUEST_BYTES: usize = 16 << 20;

/// The maximum size of the body of `/bewit` in bytes: a URL.
const MAX_URL_BYTES: usize = 8 << 10;

/// The maximum total size in KiB of the request bodies of a task that are in memory. Further requests wait.
const BUDGET_KIB: usize = 64 << 10;

/// The number of attempts of a request.
const ATTEMPTS: usize = 5;

/// The upper limit of the first delay between attempts, and of all delays.
const FIRST_DELAY: Duration = Duration::from_millis(250);
const MAX_DELAY: Duration = Duration::from_secs(10);

/// The validity of a signed URL.
const BEWIT_LIFETIME: Duration = Duration::from_secs(3600);

/// Headers that apply only to a connection. They are not forwarded, nor are the headers that `Connection` lists.
const CONNECTION_HEADERS: [HeaderName; 7] = [
    CONNECTION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// Signs and forwards the requests of a task.
pub(super) struct Forwarder {
    client: Client,
    root_url: String,
    authorizer: Arc<dyn RequestAuthorizer>,
    /// In KiB.
    budget: Semaphore,
}

#[async_trait]
impl Handler for Forwarder {
    async fn handle(&self, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path_and_query().map_or("/", |it| it.as_str());
        let route = Route::of(&self.root_url, path);
        let limit = match &route {
            Route::Call(_) => MAX_REQUEST_BYTES,
            Route::Bewit => MAX_URL_BYTES,
            Route::Invalid(reason) => return text(StatusCode::NOT_FOUND, reason),
        };
        // The permit is held until the response, because the body is sent again when an attempt fails.
        let Some((body, _reserved)) = self.collect(body, limit).await else {
            return text(
                StatusCode::PAYLOAD_TOO_LARGE,
                "the body is too long or was cut off",
            );
        };
        match route {
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
    /// Creates the forwarder of a task. `authorizer` is limited to the scopes of the task.
    pub(super) fn new(
        client: Client,
        root_url: String,
        authorizer: Arc<dyn RequestAuthorizer>,
    ) -> Self {
        Self {
            client,
            root_url,
            authorizer,
            budget: Semaphore::new(BUDGET_KIB),
        }
    }

    /// Waits for free memory, and reads a body. Returns `None` if the body is too long or incomplete.
    async fn collect(
        &self,
        body: Body,
        limit: usize,
    ) -> Option<(bytes::Bytes, SemaphorePermit<'_>)> {
        // A body without a stated length may have any length.
        let stated = body.size_hint().upper();
        let stated = stated.map_or(Some(limit), |it| it.try_into().ok());
        // Reserved before the body is read: many concurrent requests of a task cannot exceed the
        // budget of memory.
        let bytes = stated.filter(|bytes| *bytes <= limit)?;
        let permits = bytes.div_ceil(1 << 10).try_into().ok()?;
        let reserved = self.budget.acquire_many(permits).await.ok()?;
        let body = Limited::new(body, bytes).collect().await.ok()?;
        Some((body.to_bytes(), reserved))
    }

    /// Sends a call, and repeats it up to the number of attempts while it fails or is answered with status 5xx.
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
                // A request whose answer was lost is sent twice, which most calls of Taskcluster
                // accept: they are idempotent.
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
    // The client adds length and host of its request. `Expect` is obsolete, because the body has been received.
    for name in [AUTHORIZATION, CONTENT_LENGTH, EXPECT, HOST] {
        headers.remove(name);
    }
    without_connection_headers(headers)
}

fn without_connection_headers(mut headers: HeaderMap) -> HeaderMap {
    let named = headers.get_all(CONNECTION).iter();
    let named = named.filter_map(|value| value.to_str().ok());
    let named = named.flat_map(|value| value.split(','));
    let named: Vec<HeaderName> = named.filter_map(|it| it.trim().parse().ok()).collect();
    for name in named {
        headers.remove(name);
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_a_connection_are_removed() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            (CONNECTION, "close, X-Hop"),
            (HeaderName::from_static("x-hop"), "1"),
            (HeaderName::from_static("proxy-connection"), "keep-alive"),
            (HeaderName::from_static("x-other"), "2"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        let left = without_connection_headers(headers);
        let names: Vec<_> = left.keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["x-other"]);
    }
}
