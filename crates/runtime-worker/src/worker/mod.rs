//! The worker: its builder and the loop that claims tasks and runs them.

mod builder;
mod claim_failures;
mod claim_loop;
mod claim_poller;
mod running_tasks;

pub use builder::{BuildError, WorkerBuilder};
#[cfg(feature = "config")]
pub(crate) use builder::{
    DEFAULT_MAX_CONSECUTIVE_INTERNAL_ERRORS, DEFAULT_OUTPUT_LIMIT, MAX_OUTPUT_TAIL,
};
pub use claim_loop::Worker;
