//! Futures that are dropped at each of their awaits.

use std::pin::pin;
use std::task::Poll;

/// The number of awaits after which a future is assumed never to end.
const MAX_AWAITS: usize = 10_000;

/// Calls `start` repeatedly, and drops each future one await later than the one before, until a future ends.
///
/// Returns its result.
pub(super) async fn drop_at_every_await<T, F: Future<Output = T>>(
    mut start: impl FnMut() -> F,
) -> T {
    for awaits in 0..MAX_AWAITS {
        if let Some(result) = poll_times(start(), awaits).await {
            return result;
        }
    }
    panic!("the future did not end after {MAX_AWAITS} awaits");
}

/// Polls a future until it has returned `awaits` times without a result, and then drops it.
async fn poll_times<T>(future: impl Future<Output = T>, awaits: usize) -> Option<T> {
    let mut future = pin!(future);
    let mut remaining = awaits;
    std::future::poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(result) => Poll::Ready(Some(result)),
        Poll::Pending if remaining == 0 => Poll::Ready(None),
        Poll::Pending => {
            remaining -= 1;
            Poll::Pending
        }
    })
    .await
}
