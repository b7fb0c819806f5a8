//! The only place that names where atomics come from.
//!
//! Models swap them for loom's, so that every order of every access is tried.

#[cfg(not(all(test, runtime_loom)))]
pub(crate) use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

#[cfg(all(test, runtime_loom))]
pub(crate) use loom::sync::atomic::{AtomicI64, AtomicU64, Ordering};
