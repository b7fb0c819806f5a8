//! Caches of folders: across restarts, after damage, and while folders are being made.

mod making;
mod purging;
mod reopening;
mod support;
mod sweeping;
