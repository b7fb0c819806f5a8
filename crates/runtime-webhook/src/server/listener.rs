//! Accepts connections from a TCP listener.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use super::connections::ConnectionPermit;
use super::hook_server::HookServer;
use super::serve::{ConnectionKind, spawn_connection};

/// The delay after a failure such as EMFILE, which persists until a file descriptor is closed.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

/// Accepts and serves connections until the server stops.
pub(crate) async fn accept_connections(server: Arc<HookServer>, listener: TcpListener) {
    accept_connections_with(server, listener, |server, stream, permit| {
        spawn_connection(server, stream, permit, ConnectionKind::Direct);
    })
    .await;
}

/// Accepts connections until the server stops and passes each to `serve`.
pub(crate) async fn accept_connections_with(
    server: Arc<HookServer>,
    listener: TcpListener,
    serve: impl Fn(&Arc<HookServer>, TcpStream, ConnectionPermit),
) {
    let stopping = server.stopping.clone();
    stopping
        .run_until_cancelled(accept_loop(&server, &listener, serve))
        .await;
}

async fn accept_loop(
    server: &Arc<HookServer>,
    listener: &TcpListener,
    serve: impl Fn(&Arc<HookServer>, TcpStream, ConnectionPermit),
) {
    loop {
        // The permit is acquired before accepting: above the limit, clients wait in the listen queue
        // instead of holding a file descriptor of this process.
        let permit = server.connections.acquire().await;
        match listener.accept().await {
            Ok((stream, _)) => {
                // Nagle's algorithm would delay small frames of a shell until the previous one is
                // acknowledged. An error means that the connection is closed, which serving reports.
                let _ = stream.set_nodelay(true);
                server.monitor.count("connections", 1);
                serve(server, stream, permit);
            }
            Err(error) => handle_error(server, &error).await,
        }
    }
}

async fn handle_error(server: &HookServer, error: &io::Error) {
    server.monitor.count("accept-errors", 1);
    if is_connection_error(error) {
        return;
    }
    server
        .monitor
        .warn(format_args!("cannot accept connections: {error}"));
    sleep(ACCEPT_RETRY_DELAY).await;
}

/// Returns whether the error concerns only the connection to be accepted, which the client closed.
fn is_connection_error(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
    )
}
