//! HTTP/2: many requests at once on a connection.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use runtime_core::BoxError;
use runtime_core::webhook::{Body, Response};
use tokio::io::{AsyncRead, AsyncWrite};

use super::socket::{Socket, cut_error};
use super::{Server, route};
use crate::cut::{By, Cut};

/// How many requests a client may have open on one connection.
const STREAMS: u32 = 100;

impl Server {
    /// Serves a connection until it ends or is cut.
    pub(super) async fn serve_h2<S>(self: Arc<Self>, socket: Socket<S>)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let cut = Arc::clone(socket.connection());
        let service = service_fn(|request| {
            let server = Arc::clone(&self);
            async move { Ok::<_, Infallible>(server.answer_h2(request).await) }
        });
        let connection = self.http2().serve_connection(TokioIo::new(socket), service);
        let connection = std::pin::pin!(connection);
        self.drive(connection, &cut, |connection| {
            connection.graceful_shutdown()
        })
        .await;
    }

    fn http2(&self) -> http2::Builder<TokioExecutor> {
        let mut http = http2::Builder::new(TokioExecutor::new());
        let headers = u32::try_from(self.limits.header_bytes).unwrap_or(u32::MAX);
        http.timer(TokioTimer::new())
            .max_header_list_size(headers)
            .max_concurrent_streams(STREAMS)
            // A client that is gone without a word, and one that holds a connection for nothing.
            .keep_alive_interval(self.limits.header_timeout)
            .keep_alive_timeout(self.limits.header_timeout);
        http
    }

    /// Answers a request that can be cut off alone: other hooks' requests share its connection.
    async fn answer_h2(&self, request: http::Request<Incoming>) -> Response {
        let cut = RequestCut(self.connections.request());
        let response = tokio::select! {
            response = route::answer(self, &cut.0, request) => response,
            () = cut.0.wait() => route::not_found(self),
        };
        response.map(|body| Body::new(CutBody { body, cut }))
    }
}

/// The switch of one request, which its hook forgets when it is over.
struct RequestCut(Arc<Cut>);

impl Drop for RequestCut {
    fn drop(&mut self) {
        self.0.serves_nothing();
    }
}

/// A body that breaks when its request is cut.
struct CutBody {
    body: Body,
    cut: RequestCut,
}

impl http_body::Body for CutBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.cut.0.poll_cut(By::Writer, cx).is_ready() {
            return Poll::Ready(Some(Err(cut_error().into())));
        }
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
