//! The public API in one test program, so that there is one program to link.

mod auto_traits;
mod flag;
mod once;
mod wait_group;

use std::time::Duration;

use tokio::time::timeout;

/// Fails instead of hanging if `future` does not end. Time is paused, so the limit causes no delay.
async fn ends<T>(future: impl Future<Output = T>) -> T {
    let limit = Duration::from_secs(3600);
    timeout(limit, future).await.expect("the wait ends")
}
