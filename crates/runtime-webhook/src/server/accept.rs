//! Takes connections from a listener.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use super::{Origin, Place, Server};

/// How long to wait when the operating system gives no more sockets: something must be closed first.
const PAUSE: Duration = Duration::from_millis(100);

/// Accepts until the server stops, with at most as many connections open as its limits say.
pub(crate) async fn accept(server: Arc<Server>, listener: TcpListener) {
    accept_with(server, listener, |server, stream, place| {
        server.spawn(stream, place, Origin::Direct);
    })
    .await;
}

/// The same, with something to do before a connection is served.
pub(crate) async fn accept_with(
    server: Arc<Server>,
    listener: TcpListener,
    serve: impl Fn(&Arc<Server>, TcpStream, Place),
) {
    let stopping = server.stopping.clone();
    stopping
        .run_until_cancelled(accept_all(&server, &listener, serve))
        .await;
}

async fn accept_all(
    server: &Arc<Server>,
    listener: &TcpListener,
    serve: impl Fn(&Arc<Server>, TcpStream, Place),
) {
    loop {
        let place = server.connections.place().await;
        match listener.accept().await {
            Ok((stream, _)) => {
                // Without it, small frames of a shell wait for the answer to those before; it may fail
                // on a connection that is gone already, which shows when it is served.
                let _ = stream.set_nodelay(true);
                server.monitor.count("connections", 1);
                serve(server, stream, place);
            }
            Err(error) => failed(server, &error).await,
        }
    }
}

async fn failed(server: &Server, error: &io::Error) {
    server.monitor.count("accept-errors", 1);
    if is_of_one_connection(error) {
        return;
    }
    server
        .monitor
        .warn(format_args!("cannot accept a connection for now: {error}"));
    sleep(PAUSE).await;
}

/// Reports whether only the connection to be accepted is affected, since its client went away.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
    )
}
