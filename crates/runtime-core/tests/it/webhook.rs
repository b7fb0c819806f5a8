//! Hooks and handlers.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use async_trait::async_trait;
use http_body_util::BodyExt as _;
use runtime_core::webhook::{
    AttachError, Body, Handler, NoWebHookServer, Request, Response, WebHook, WebHookServer,
    WebHookSet, from_service,
};
use tokio::sync::watch;
use tower_service::Service;

/// A server that counts attached hooks.
#[derive(Clone, Debug, Default)]
struct Counter(Arc<AtomicUsize>);

#[async_trait]
impl WebHookServer for Counter {
    async fn attach(&self, _: Arc<dyn Handler>) -> Result<WebHook, AttachError> {
        let place = self.0.fetch_add(1, Ordering::SeqCst);
        let count = Arc::clone(&self.0);
        let url = watch::channel(format!("http://127.0.0.1/{place}/")).1;
        Ok(WebHook::new(url, move || {
            count.fetch_sub(1, Ordering::SeqCst);
        }))
    }
}

/// A service that echoes the path.
#[derive(Clone)]
struct Echo;

impl Service<Request> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        std::future::ready(Ok(Response::new(Body::from(
            request.uri().path().to_owned(),
        ))))
    }
}

#[tokio::test]
async fn detach_all_detaches_every_hook() {
    let server = Counter::default();
    let set = WebHookSet::new(Arc::new(server.clone()));
    for _ in 0..3 {
        set.attach(from_service(Echo)).await.expect("it attaches");
    }
    assert_eq!(server.0.load(Ordering::SeqCst), 3);
    set.detach_all();
    assert_eq!(server.0.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn tower_service_is_a_handler() {
    let request = http::Request::get("/a%20b")
        .body(Body::empty())
        .expect("a request");
    let answer = from_service(Echo).handle(request).await;
    let bytes = answer
        .into_body()
        .collect()
        .await
        .expect("a body")
        .to_bytes();
    assert_eq!(&bytes[..], b"/a%20b");
}

#[tokio::test]
async fn no_server_refuses_attach() {
    let error = NoWebHookServer
        .attach(from_service(Echo))
        .await
        .expect_err("there is no server");
    assert!(error.to_string().contains("no web hook server"), "{error}");
}
