//! Pipes inside the process.

mod bounded;
mod credit;

pub use bounded::{BoundedReader, BoundedWriteError, BoundedWriter, Tally, bounded_pipe};
pub use credit::{Credit, CreditReader, CreditWriter, credit_pipe};
