//! The source of atomics and notifications: std and tokio, or loom in models.
//!
//! The other modules import them from here, so that loom can explore every interleaving.

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
