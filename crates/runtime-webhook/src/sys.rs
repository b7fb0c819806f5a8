//! Atomics, locks and wakers of connections, replaced by loom's versions in models.

#[cfg(not(all(test, runtime_loom)))]
pub(crate) use {
    futures_util::task::AtomicWaker,
    parking_lot::Mutex,
    std::sync::atomic::{AtomicBool, Ordering},
};

#[cfg(all(test, runtime_loom))]
pub(crate) use {
    crate::models::loom_shims::{AtomicWaker, Mutex},
    loom::sync::atomic::{AtomicBool, Ordering},
};
