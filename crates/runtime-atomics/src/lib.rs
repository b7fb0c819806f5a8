//! An awaitable flag, a function that runs once, and a wait group.
//!
//! | use case | operations | type |
//! | --- | --- | --- |
//! | a state that can change back ("paused") | read, await | [`Flag`] |
//! | an action that runs at most once ("stop") | learn who ran it, await its end | [`Once`] |
//! | running work that must end at shutdown | count, await a count below *n*, refuse new work | [`WaitGroup`] |
//! | cancellation of a tree of tasks | propagate | `tokio_util::sync::CancellationToken` |
//! | spawned tasks | await their end, without refusing new ones | `tokio_util::task::TaskTracker` |
//! | a value created once | read | [`tokio::sync::OnceCell`] or [`std::sync::OnceLock`] |
//! | a changing value | read each new value | [`tokio::sync::watch`] |
//! | at most *n* at a time | await a permit | [`tokio::sync::Semaphore`] |
//!
//! A closed `TaskTracker` still accepts new tasks: closing it only lets `wait` return. A draining
//! [`WaitGroup`] refuses new work, so that a component can shut down while callers still hold it.
//!
//! All three types are cheap to clone, and clones share their state. Changes
//! ([`Flag::set`], [`Once::call`], [`WaitGroup::add`], dropping a [`Guard`]) never wait for other threads,
//! so they are allowed in async code and destructors. The futures work on any executor, not only tokio's.
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
//!         drop(task); // Decrements the count, even if this future is dropped.
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
pub use wait_group::{DrainingError, Guard, WaitGroup};
