//! The source of locks and atomics: parking_lot and std, or loom in the models.

#[cfg(not(all(test, runtime_loom)))]
pub(crate) use {
    parking_lot::Mutex,
    std::sync::atomic::{AtomicU64, Ordering},
};

#[cfg(all(test, runtime_loom))]
pub(crate) use {
    crate::models::loom_shims::Mutex,
    loom::sync::atomic::{AtomicU64, Ordering},
};
