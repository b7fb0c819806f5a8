//! Caches of folders: across restarts, after damage, and during construction.

mod constructing;
mod leasing;
mod purging;
mod reopening;
mod support;
mod sweeping;
