//! The synchronization primitives of the queues, which loom models replace by instrumented ones.

#[cfg(not(all(test, runtime_loom)))]
pub(crate) use {
    parking_lot::{Condvar, Mutex},
    tokio::sync::Notify,
};

#[cfg(all(test, runtime_loom))]
pub(crate) use crate::models::loom_shims::{Condvar, Mutex, Notify};
