//! The source of atomics: std, or loom in the models.

#[cfg(not(all(test, runtime_loom)))]
pub(crate) use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

#[cfg(all(test, runtime_loom))]
pub(crate) use loom::sync::atomic::{AtomicI64, AtomicU64, Ordering};
