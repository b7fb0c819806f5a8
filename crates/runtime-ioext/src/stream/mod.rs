//! Wrappers of a stream that report its position, its end or its first error.

mod observed;
mod tell;

pub use observed::{ObservedStream, StreamEnd};
pub use tell::{TellHandle, TellReader};
