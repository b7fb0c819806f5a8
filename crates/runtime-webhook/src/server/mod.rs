//! Serves hooks over HTTP on any stream of bytes.

mod accept;
mod alarm;
mod connections;
#[cfg(feature = "public")]
mod h2;
#[cfg(feature = "public")]
mod requests;
mod route;
mod socket;
mod stall;
mod upload;

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::Poll;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use runtime_core::Monitor;
use runtime_core::webhook::{AttachError, Handler, WebHook};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) use self::accept::accept;
#[cfg(feature = "public")]
pub(crate) use self::accept::accept_with;
use self::alarm::HeadTimer;
pub(crate) use self::connections::{Connections, Place};
use self::socket::Socket;
use crate::cut::{By, Cut};
use crate::registry::{Hook, Registry};
use crate::{HttpLimits, OnDetach};

/// What hyper takes if it is not told another number.
const DEFAULT_HEADERS: usize = 100;

/// hyper panics below this.
const MIN_BUFFER: usize = 8 * 1024;

/// What all connections of a server share.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) registry: Registry,
    pub(crate) monitor: Monitor,
    pub(crate) limits: HttpLimits,
    pub(crate) connections: Connections,
    /// Everything that runs for the server.
    pub(crate) tasks: TaskTracker,
    pub(crate) stopping: CancellationToken,
}

/// How a connection came, which decides about what may be sent on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// HTTP/1.1, from the client or a proxy that knows it well.
    Direct,
    /// HTTP/1.1, from a websocktunnel server: it takes an interim answer for the answer.
    #[cfg(feature = "websocktunnel")]
    Websocktunnel,
    /// HTTP/1.1, from a localtunnel server: it opens connections long before it needs them.
    #[cfg(feature = "localtunnel")]
    Localtunnel,
    /// HTTP/2.
    #[cfg(feature = "public")]
    Http2,
}

impl Server {
    pub(crate) fn new(limits: HttpLimits, monitor: &Monitor) -> Self {
        Self {
            registry: Registry::default(),
            monitor: monitor.with_prefix("webhook"),
            connections: Connections::new(limits.connections),
            limits,
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
        }
    }

    /// Attaches a handler.
    pub(crate) fn attach(
        self: &Arc<Self>,
        handler: Arc<dyn Handler>,
        on_detach: OnDetach,
    ) -> Result<Attached, AttachError> {
        let hook = self.registry.attach(handler, on_detach)?;
        let server = Arc::downgrade(self);
        Ok(Attached { hook, server })
    }

    /// Starts to serve a connection; the task ends with it, or when it is upgraded.
    pub(crate) fn spawn<S>(
        self: &Arc<Self>,
        stream: S,
        place: Place,
        origin: Origin,
    ) -> JoinHandle<()>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let socket = Socket::new(stream, place, self.limits.write_timeout, origin);
        let server = Arc::clone(self);
        match origin {
            #[cfg(feature = "public")]
            Origin::Http2 => self.tasks.spawn(server.serve_h2(socket)),
            _ => self.tasks.spawn(server.serve(socket, origin)),
        }
    }

    /// Serves a connection until it ends, is cut, or was upgraded.
    async fn serve<S>(self: Arc<Self>, socket: Socket<S>, origin: Origin)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let cut = Arc::clone(socket.connection());
        let (server, connection) = (&*self, &cut);
        let service = service_fn(move |request| async move {
            Ok::<_, Infallible>(route::answer(server, connection, request).await)
        });
        let connection = self
            .http(origin)
            .serve_connection(TokioIo::new(socket), service);
        let connection = std::pin::pin!(connection.with_upgrades());
        self.drive(connection, &cut, |connection| {
            connection.graceful_shutdown()
        })
        .await;
    }

    /// Runs a connection to its end, or until it is cut.
    async fn drive<C>(
        &self,
        mut connection: Pin<&mut C>,
        cut: &Cut,
        finish: impl FnOnce(Pin<&mut C>),
    ) where
        C: Future<Output = hyper::Result<()>>,
    {
        let mut finish = Some(finish);
        let result = poll_fn(|cx| {
            if cut.poll_cut(By::Driver, cx).is_ready() {
                return Poll::Ready(Ok(()));
            }
            if cut.is_finishing()
                && let Some(finish) = finish.take()
            {
                finish(connection.as_mut());
            }
            connection.as_mut().poll(cx)
        })
        .await;
        if let Err(error) = result {
            self.monitor.count("connection-errors", 1);
            let error = runtime_core::error_chain(&error);
            self.monitor
                .debug(format_args!("a connection ended: {error}"));
        }
    }

    fn http(&self, origin: Origin) -> http1::Builder {
        let mut http = http1::Builder::new();
        http.timer(HeadTimer::default())
            .header_read_timeout(header_timeout(origin, self.limits.header_timeout))
            .max_buf_size(self.limits.header_bytes.max(MIN_BUFFER));
        // Said aloud, hyper makes room for them on the heap with each request.
        if self.limits.headers != DEFAULT_HEADERS {
            http.max_headers(self.limits.headers);
        }
        http
    }

    /// Lets running requests finish for as long as `grace`, and cuts those that are left.
    pub(crate) async fn stop(&self, grace: Duration) -> usize {
        self.registry.close();
        self.stopping.cancel();
        self.connections.finish_all();
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

/// How long a request may take to begin, on a connection that is open.
fn header_timeout(origin: Origin, limit: Duration) -> Option<Duration> {
    match origin {
        #[cfg(feature = "localtunnel")]
        Origin::Localtunnel => None,
        _ => Some(limit),
    }
}

/// A handler that was attached; dropping it detaches.
#[derive(Debug)]
pub(crate) struct Attached {
    hook: Arc<Hook>,
    server: Weak<Server>,
}

impl Attached {
    /// A hook whose URL may change; `also` is called when it is dropped.
    #[cfg(any(feature = "localtunnel", feature = "public", feature = "websocktunnel"))]
    pub(crate) fn into_web_hook(self, also: impl FnOnce() + Send + Sync + 'static) -> WebHook {
        WebHook::new(self.hook.url(), move || {
            drop(self);
            also();
        })
    }

    /// A hook whose URL never changes, which its holder can tell.
    pub(crate) fn into_fixed_web_hook(self) -> WebHook {
        let url = self.hook.url().borrow().clone();
        WebHook::new(watch::channel(url).1, move || drop(self))
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        if let Some(server) = self.server.upgrade() {
            server.registry.detach(&self.hook);
        }
    }
}

#[cfg(test)]
mod h1_tests;
#[cfg(all(test, feature = "public"))]
mod h2_tests;
