//! The only place that names where locks and wakers of the queues come from.
//!
//! Models swap them for loom's, so that every order of every access is tried.

#[cfg(not(all(test, runtime_loom)))]
pub(crate) use {
    parking_lot::{Condvar, Mutex},
    tokio::sync::Notify,
};

#[cfg(all(test, runtime_loom))]
pub(crate) use crate::models::stand_in::{Condvar, Mutex, Notify};
