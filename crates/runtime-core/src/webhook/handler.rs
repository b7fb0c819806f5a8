//! Handlers of requests to a hook.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tower_service::Service;

use super::Body;
use crate::error::BoxError;

/// A request to a hook. Its URI is the part after the hook's URL, with query and percent-encoding as sent.
pub type Request = http::Request<Body>;

/// The response of a hook.
pub type Response = http::Response<Body>;

/// Handles the requests to a hook.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// Handles one request.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped when the client disconnects before the response headers are sent.
    async fn handle(&self, request: Request) -> Response;
}

/// Creates a handler from an async function.
pub fn from_fn<F, R>(function: F) -> Arc<dyn Handler>
where
    F: Fn(Request) -> R + Send + Sync + 'static,
    R: Future<Output = Response> + Send + 'static,
{
    Arc::new(FnHandler(function))
}

/// Creates a handler from a tower service, such as an axum router.
pub fn from_service<S, B>(service: S) -> Arc<dyn Handler>
where
    S: Service<Request, Response = http::Response<B>, Error = Infallible>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    Arc::new(ServiceHandler(service))
}

struct FnHandler<F>(F);

#[async_trait]
impl<F, R> Handler for FnHandler<F>
where
    F: Fn(Request) -> R + Send + Sync + 'static,
    R: Future<Output = Response> + Send + 'static,
{
    async fn handle(&self, request: Request) -> Response {
        (self.0)(request).await
    }
}

struct ServiceHandler<S>(S);

#[async_trait]
impl<S, B> Handler for ServiceHandler<S>
where
    S: Service<Request, Response = http::Response<B>, Error = Infallible>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    async fn handle(&self, request: Request) -> Response {
        let mut service = self.0.clone();
        poll_fn(|context| service.poll_ready(context))
            .await
            .unwrap_or_else(|never| match never {});
        let response = service
            .call(request)
            .await
            .unwrap_or_else(|never| match never {});
        response.map(Body::new)
    }
}
