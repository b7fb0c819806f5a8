//! The only place that names where locks, hand-overs and tasks come from.
//!
//! Models swap them for loom's, so that every order of every access is tried.

#[cfg(not(all(test, runtime_loom)))]
pub(crate) use {
    parking_lot::{Mutex, MutexGuard},
    tokio::spawn,
    tokio::sync::watch,
};

#[cfg(all(test, runtime_loom))]
pub(crate) use crate::models::stand_in::{Mutex, MutexGuard, spawn, watch};

/// How many locks the map is cut into: a power of two, so that a hash can be masked.
#[cfg(not(all(test, runtime_loom)))]
pub(crate) const SHARDS: usize = 32;
#[cfg(all(test, runtime_loom))]
pub(crate) const SHARDS: usize = 1;
