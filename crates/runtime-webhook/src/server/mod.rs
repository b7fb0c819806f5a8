//! Serves hooks over HTTP/1.1 on any stream of bytes.

mod accept;
mod connections;
mod route;
mod socket;

use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use runtime_core::Monitor;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) use self::accept::accept;
use self::connections::{Connections, Place};
use self::socket::Socket;
use crate::Limits;
use crate::registry::Registry;

/// hyper panics below this.
const MIN_BUFFER: usize = 8 * 1024;

/// What all connections of a server share.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) registry: Registry,
    pub(crate) monitor: Monitor,
    limits: Limits,
    connections: Connections,
    tasks: TaskTracker,
    stopping: CancellationToken,
}

impl Server {
    pub(crate) fn new(limits: Limits, monitor: &Monitor) -> Self {
        Self {
            registry: Registry::default(),
            monitor: monitor.with_prefix("webhook"),
            connections: Connections::new(limits.connections),
            limits,
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
        }
    }

    /// Starts to serve a connection.
    fn spawn<S>(self: &Arc<Self>, stream: S, place: Place)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let socket = Socket::new(stream, place, self.limits.write_timeout);
        self.tasks.spawn(Arc::clone(self).serve(socket));
    }

    /// Serves a connection until it ends, is cut, or was upgraded.
    async fn serve<S>(self: Arc<Self>, socket: Socket<S>)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let cut = Arc::clone(socket.connection());
        let service = service_fn(|request| {
            let (server, cut) = (Arc::clone(&self), Arc::clone(&cut));
            async move { Ok::<_, std::convert::Infallible>(route::answer(&server, &cut, request).await) }
        });
        let connection = self.http().serve_connection(TokioIo::new(socket), service);
        let mut connection = std::pin::pin!(connection.with_upgrades());
        let result = tokio::select! {
            result = connection.as_mut() => result,
            () = cut.wait() => return,
            () = self.stopping.cancelled() => {
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    result = connection => result,
                    () = cut.wait() => return,
                }
            }
        };
        if let Err(error) = result {
            self.monitor.count("connection_errors", 1);
            let error = runtime_core::chain(&error);
            self.monitor
                .debug(format_args!("a connection ended: {error}"));
        }
    }

    fn http(&self) -> http1::Builder {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(self.limits.header_timeout)
            .max_headers(self.limits.headers)
            .max_buf_size(self.limits.header_bytes.max(MIN_BUFFER));
        http
    }

    /// Lets running requests finish for as long as `grace`, and cuts those that are left.
    pub(crate) async fn stop(&self, grace: Duration) -> usize {
        self.registry.close();
        self.stopping.cancel();
        self.tasks.close();
        let cut = match timeout(grace, self.connections.all_closed()).await {
            Ok(()) => 0,
            Err(_) => self.connections.cut_all(),
        };
        self.tasks.wait().await;
        cut
    }

    /// Ends everything at once.
    pub(crate) fn end(&self) {
        self.registry.close();
        self.stopping.cancel();
        self.connections.cut_all();
    }
}
