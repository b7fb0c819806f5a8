//! Models of each primitive under loom: every order of every access, with two or three threads.
//!
//! A model states one property and names the weakening of the code that makes it fail.
//! Run them with `RUSTFLAGS="--cfg runtime_loom" cargo test -p runtime-atomics --release --lib`. The cfg
//! is our own, because `--cfg loom` changes tokio as well.

pub(crate) mod notify;

mod flag;
mod once;
mod wait_group;

/// Polls a future once with a waker that does nothing.
fn poll_once<F: Future + Unpin>(future: &mut F) -> std::task::Poll<F::Output> {
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    std::pin::Pin::new(future).poll(&mut cx)
}
