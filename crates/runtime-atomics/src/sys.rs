//! The only place that names where atomics and wake-ups come from.
//!
//! Models swap them for loom's, so that every order of every access is tried.

#[cfg(not(all(test, runtime_loom)))]
pub(crate) use {
    std::sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    tokio::sync::Notify,
    tokio::sync::futures::OwnedNotified,
};

#[cfg(all(test, runtime_loom))]
pub(crate) use {
    crate::models::notify::{Notify, OwnedNotified},
    loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};
