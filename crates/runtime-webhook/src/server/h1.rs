//! HTTP/1.1 connections.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::driver::drive;
use super::hook_server::HookServer;
use super::lazy_timer::HeaderTimer;
use super::router;
use super::socket::Socket;
use crate::http_limits::HttpLimits;

/// The default of hyper.
const DEFAULT_MAX_HEADERS: usize = 100;

/// The minimum of hyper, which panics below.
const MIN_BUFFER_BYTES: usize = 8 * 1024;

/// Serves a connection until it is closed, aborted or upgraded.
pub(super) async fn serve<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    server: Arc<HookServer>,
    socket: Socket<S>,
    header_timeout: Option<Duration>,
) {
    let handle = Arc::clone(socket.handle());
    let (server, connection) = (&*server, &handle);
    let service = service_fn(move |request| async move {
        Ok::<_, Infallible>(router::route(server, connection, request).await)
    });
    // With upgrades: the connection's task ends at an upgrade, and the socket lives on in the handler. It keeps its
    // permit, and its handle can still abort it.
    let connection = builder(&server.limits, header_timeout)
        .serve_connection(TokioIo::new(socket), service)
        .with_upgrades();
    drive(server, std::pin::pin!(connection), &handle, |connection| {
        connection.graceful_shutdown();
    })
    .await;
}

fn builder(limits: &HttpLimits, header_timeout: Option<Duration>) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(HeaderTimer::default())
        .header_read_timeout(header_timeout)
        .max_buf_size(limits.max_header_bytes.max(MIN_BUFFER_BYTES));
    // Not set to the default value: once it is set, hyper allocates the header table on the heap for each
    // request instead of on the stack.
    if limits.max_headers != DEFAULT_MAX_HEADERS {
        http.max_headers(limits.max_headers);
    }
    http
}
