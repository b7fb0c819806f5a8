//! HTTP/2 connections, each with many concurrent requests.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::timeout;

use super::driver::drive;
use super::h2_request::{RequestExecutor, respond};
use super::hook_server::HookServer;
use super::socket::Socket;
use crate::connection::ConnectionHandle;
use crate::http_limits::HttpLimits;

/// The maximum number of concurrent requests per connection.
const MAX_CONCURRENT_REQUESTS: u32 = 100;

/// Serves a connection until it is closed, aborted or idle for too long.
pub(super) async fn serve<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    server: Arc<HookServer>,
    socket: Socket<S>,
) {
    let handle = Arc::clone(socket.handle());
    let (executor, running) = RequestExecutor::new(&server);
    let service = service_fn(|request| {
        let server = Arc::clone(&server);
        async move { Ok::<_, Infallible>(respond(&server, request).await) }
    });
    let connection =
        builder(&server.limits, executor).serve_connection(TokioIo::new(socket), service);
    let connection = std::pin::pin!(connection);
    // Without upgrades: extended CONNECT (RFC 8441) is off, so browsers use HTTP/1.1 for WebSockets.
    tokio::select! {
        () = drive(&server, connection, &handle, |connection| connection.graceful_shutdown()) => {}
        () = idle(&server.limits, running, &handle) => {}
    }
}

fn builder(limits: &HttpLimits, executor: RequestExecutor) -> http2::Builder<RequestExecutor> {
    let mut http = http2::Builder::new(executor);
    let header_bytes = u32::try_from(limits.max_header_bytes).unwrap_or(u32::MAX);
    http.timer(TokioTimer::new())
        .max_header_list_size(header_bytes)
        .max_concurrent_streams(MAX_CONCURRENT_REQUESTS)
        // Detects a client that vanished without closing the connection.
        .keep_alive_interval(limits.header_timeout)
        .keep_alive_timeout(limits.header_timeout);
    http
}

/// Shuts an idle connection down with GOAWAY, and returns if the client keeps it open regardless.
///
/// Such a client may answer pings but never read: not the remaining bytes of a response, nor the GOAWAY.
/// Neither the keep-alive nor the timeouts of requests detect that.
async fn idle(
    limits: &HttpLimits,
    mut running: watch::Receiver<usize>,
    connection: &ConnectionHandle,
) {
    // hyper has an idle timeout for HTTP/1.1 only.
    wait_idle(&mut running, limits.header_timeout).await;
    connection.shut_down();
    wait_idle(&mut running, limits.write_timeout).await;
}

/// Waits until no request has been running for this duration.
async fn wait_idle(running: &mut watch::Receiver<usize>, duration: Duration) {
    loop {
        // Never an error: the connection owns the sender and is served as long as this future is polled.
        let _ = running.wait_for(|count| *count == 0).await;
        // Also detects a request that started and ended between two polls.
        if timeout(duration, running.changed()).await.is_err() {
            return;
        }
    }
}
