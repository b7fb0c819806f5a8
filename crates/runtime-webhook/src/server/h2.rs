//! HTTP/2: many requests at once on a connection.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::timeout;

use super::Server;
use super::requests::{Requests, answer};
use super::socket::Socket;
use crate::cut::Cut;

/// How many requests a client may have open on one connection.
const STREAMS: u32 = 100;

impl Server {
    /// Serves a connection until it ends, is cut, or has nothing to do.
    pub(super) async fn serve_h2<S>(self: Arc<Self>, socket: Socket<S>)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let cut = Arc::clone(socket.connection());
        let (requests, running) = Requests::new(&self);
        let service = service_fn(|request| {
            let server = Arc::clone(&self);
            async move { Ok::<_, Infallible>(answer(&server, request).await) }
        });
        let connection = self
            .http2(requests)
            .serve_connection(TokioIo::new(socket), service);
        let connection = std::pin::pin!(connection);
        let drive = self.drive(connection, &cut, |connection| {
            connection.graceful_shutdown()
        });
        tokio::select! {
            () = drive => {}
            () = self.idle(running, &cut) => {}
        }
    }

    fn http2(&self, requests: Requests) -> http2::Builder<Requests> {
        let mut http = http2::Builder::new(requests);
        let headers = u32::try_from(self.limits.header_bytes).unwrap_or(u32::MAX);
        http.timer(TokioTimer::new())
            .max_header_list_size(headers)
            .max_concurrent_streams(STREAMS)
            // For a client that is gone without a word.
            .keep_alive_interval(self.limits.header_timeout)
            .keep_alive_timeout(self.limits.header_timeout);
        http
    }

    /// Asks a client that requests nothing to close the connection, and is ready if it does not: it takes
    /// the rest of no answer, and not even the goodbye.
    async fn idle(&self, mut running: watch::Receiver<usize>, cut: &Cut) {
        none_for(&mut running, self.limits.header_timeout).await;
        cut.finish();
        none_for(&mut running, self.limits.write_timeout).await;
    }
}

/// Waits until nothing has been running for so long.
async fn none_for(running: &mut watch::Receiver<usize>, time: Duration) {
    loop {
        // The sender is with the connection, which is served for as long as somebody waits here.
        let _ = running.wait_for(|count| *count == 0).await;
        // A request that began and ended unseen is a change, too.
        if timeout(time, running.changed()).await.is_err() {
            return;
        }
    }
}
