//! In-process pipes.

mod bounded;
mod credit;

#[cfg(all(test, runtime_loom))]
mod models;

pub use bounded::{BoundedReader, BoundedWriteError, BoundedWriter, PipeStats, bounded_pipe};
pub use credit::{Credit, CreditReader, CreditWriter, credit_pipe};
