//! The only place that names where the atomics, locks and wakers of connections and their hooks come from.
//!
//! Models swap them for loom's, so that every order of every access is tried.

#[cfg(not(all(test, runtime_loom)))]
pub(crate) use {
    futures_util::task::AtomicWaker,
    parking_lot::Mutex,
    std::sync::atomic::{AtomicBool, Ordering},
};

#[cfg(all(test, runtime_loom))]
pub(crate) use {
    crate::models::stand_in::{AtomicWaker, Mutex},
    loom::sync::atomic::{AtomicBool, Ordering},
};
