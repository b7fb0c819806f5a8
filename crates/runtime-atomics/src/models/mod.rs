//! Loom models of each primitive, with two or three threads.
//!
//! A model checks one property and names the weakening of the code that it catches.
//! Run them with `RUSTFLAGS="--cfg runtime_loom" cargo test -p runtime-atomics --release --lib`. The cfg
//! has its own name, because `--cfg loom` changes tokio as well.

pub(crate) mod notify;

mod flag;
mod once;
mod wait_group;

/// Polls a future once with a no-op waker.
fn poll_once<F: Future + Unpin>(future: &mut F) -> std::task::Poll<F::Output> {
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    std::pin::Pin::new(future).poll(&mut cx)
}
