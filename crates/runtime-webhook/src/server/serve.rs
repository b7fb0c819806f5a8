//! Serves one connection with the protocol that it speaks.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;

use super::connections::ConnectionPermit;
use super::h1;
#[cfg(feature = "public")]
use super::h2;
use super::hook_server::HookServer;
use super::socket::Socket;

/// The protocol of a connection and its peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConnectionKind {
    /// HTTP/1.1 from the client or from a transparent proxy.
    Direct,
    /// HTTP/1.1 from a websocktunnel server.
    #[cfg(feature = "websocktunnel")]
    Websocktunnel,
    /// HTTP/1.1 from a localtunnel server.
    #[cfg(feature = "localtunnel")]
    Localtunnel,
    /// HTTP/2.
    #[cfg(feature = "public")]
    Http2,
}

/// Serves a connection in a new task, which ends when the connection is closed or upgraded.
pub(crate) fn spawn_connection<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    server: &Arc<HookServer>,
    stream: S,
    permit: ConnectionPermit,
    kind: ConnectionKind,
) -> JoinHandle<()> {
    let hides_continue = match kind {
        // A websocktunnel server takes the first response for the final one, so an interim response would
        // end the request with status 100 for the viewer. It waits for the final response anyway.
        #[cfg(feature = "websocktunnel")]
        ConnectionKind::Websocktunnel => true,
        _ => false,
    };
    let header_timeout = match kind {
        // A localtunnel server opens connections long before it has requests for them.
        #[cfg(feature = "localtunnel")]
        ConnectionKind::Localtunnel => None,
        _ => Some(server.limits.header_timeout),
    };
    let socket = Socket::new(stream, permit, server.limits.write_timeout, hides_continue);
    let shared = Arc::clone(server);
    match kind {
        #[cfg(feature = "public")]
        ConnectionKind::Http2 => server.tasks.spawn(h2::serve(shared, socket)),
        _ => server
            .tasks
            .spawn(h1::serve(shared, socket, header_timeout)),
    }
}
