//! Synchronization primitives for the life cycles of workers.
//!
//! | you have | you want | use |
//! | --- | --- | --- |
//! | a fact that comes and goes ("paused") | to read it, to wait until it holds | [`Flag`] |
//! | something to do at most once ("stop") | to know who did it, to wait until it is done | [`Once`] |
//! | work in flight, and an end to accepting more | to count it, to wait until little or none is left, to refuse more | [`WaitGroup`] |
//! | a request to stop, for a tree of tasks | to pass it down, not to run anything | `tokio_util::sync::CancellationToken` |
//! | spawned tasks | to wait until all have ended, not to refuse more | `tokio_util::task::TaskTracker` |
//! | a value that is made once and then read | the value | [`tokio::sync::OnceCell`] or [`std::sync::OnceLock`] |
//! | a value that changes | each new value | [`tokio::sync::watch`] |
//! | at most *n* things at a time | to wait for a place | [`tokio::sync::Semaphore`] |
//!
//! A `TaskTracker` that is closed still takes new tasks: "closed" only lets its `wait` end. A
//! [`WaitGroup`] that drains refuses, which is what a part that is being stopped needs.
//!
//! All three are cheap to clone, and every clone is the same primitive. What changes them
//! ([`Flag::set`], [`Once::call`], [`WaitGroup::add`], dropping a [`Guard`]) never waits, so it can be
//! called from synchronous code and from a destructor. What waits is a future that any executor can
//! drive; none needs a tokio runtime.
//!
//! # Example
//!
//! ```
//! use runtime_atomics::{Once, WaitGroup};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let stop = Once::new();
//! let tasks = WaitGroup::new();
//!
//! let task = tasks.add(1).expect("nothing drains yet");
//! let running = tokio::spawn({
//!     let stop = stop.clone();
//!     async move {
//!         stop.wait().await;
//!         drop(task); // Tells the group that the task is done, also if this future is dropped.
//!     }
//! });
//!
//! assert!(stop.call(|| println!("stopping")));
//! assert!(!stop.call(|| unreachable!("only the first call runs")));
//!
//! tasks.wait_and_drain().await;
//! assert!(tasks.add(1).is_err());
//! # running.await.unwrap();
//! # }
//! ```

mod flag;
mod once;
mod sys;
mod wait_group;

#[cfg(all(test, runtime_loom))]
mod models;

pub use flag::Flag;
pub use once::{Done, Once};
pub use wait_group::{Draining, Guard, WaitGroup};
