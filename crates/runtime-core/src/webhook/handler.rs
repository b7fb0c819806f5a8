//! Handlers of web hook requests.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tower_service::Service;

use super::Body;
use crate::error::BoxError;

/// A request to a hook. Its URI is relative to the hook's URL; path and query are percent-encoded as sent.
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
    /// The future is dropped if the client disconnects before the response headers are sent.
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
    from_fn(move |request| {
        let mut service = service.clone();
        async move {
            // The contract of `Service`: only an instance that is ready may be called, so both use this clone.
            poll_fn(|context| service.poll_ready(context))
                .await
                .unwrap_or_else(|never| match never {});
            let response = service
                .call(request)
                .await
                .unwrap_or_else(|never| match never {});
            response.map(Body::new)
        }
    })
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
