//! The source of locks, channels and tasks: parking_lot and tokio, or loom in the models.

#[cfg(not(all(test, runtime_loom)))]
pub(crate) use {
    parking_lot::{Mutex, MutexGuard},
    tokio::spawn,
    tokio::sync::watch,
};

#[cfg(all(test, runtime_loom))]
pub(crate) use crate::models::loom_shims::{Mutex, MutexGuard, spawn, watch};

/// The number of locks of a map: a power of two, so that a hash can be masked.
#[cfg(not(all(test, runtime_loom)))]
pub(crate) const SHARDS: usize = 32;
#[cfg(all(test, runtime_loom))]
pub(crate) const SHARDS: usize = 1;
