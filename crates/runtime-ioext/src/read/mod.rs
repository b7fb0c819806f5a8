//! Readers with a bound or a count.

mod bounded;
mod tell;

pub use bounded::{
    BoundedReadError, BoundedReadFileError, bounded_read_all, bounded_read_file, read_at_most,
};
pub use tell::TellReader;
