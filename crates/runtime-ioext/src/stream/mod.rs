//! Wrappers that observe a stream: its position, its end, its first error.

mod observed;
mod tell;

pub use observed::{ObservedStream, StreamEnd};
pub use tell::TellReader;
