//! The source of locks: parking_lot, or loom in the models.

#[cfg(not(all(test, runtime_loom)))]
pub(crate) use parking_lot::Mutex;

#[cfg(all(test, runtime_loom))]
pub(crate) use crate::models::loom_shims::Mutex;
