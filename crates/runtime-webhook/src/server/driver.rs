//! Drives a hyper connection until it ends, is shut down or is aborted.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use super::hook_server::HookServer;
use crate::connection::{AbortListener, ConnectionHandle, WakeSlot};

/// Polls `connection` until it ends or is aborted. Calls `shut_down` when the handle requests a shutdown.
pub(super) async fn drive<C>(
    server: &HookServer,
    mut connection: Pin<&mut C>,
    handle: &ConnectionHandle,
    shut_down: impl FnOnce(Pin<&mut C>),
) where
    C: Future<Output = hyper::Result<()>>,
{
    let mut shut_down = Some(shut_down);
    let mut abort = AbortListener::new(WakeSlot::Driver);
    // Polled by hand instead of `select!`: a graceful shutdown needs access to the connection between polls.
    let result = poll_fn(|cx| {
        if abort.poll(handle, cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        if handle.is_shutting_down()
            && let Some(shut_down) = shut_down.take()
        {
            shut_down(connection.as_mut());
        }
        connection.as_mut().poll(cx)
    })
    .await;
    if let Err(error) = result {
        server.monitor.count("connection-errors", 1);
        let error = runtime_core::error_chain(&error);
        server
            .monitor
            .debug(format_args!("connection failed: {error}"));
    }
}
