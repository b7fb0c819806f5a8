//! The collector and its public handle.

mod background;
mod core;
mod decide;
mod dispose;
mod handle;
mod reserve;
mod run;
mod tracker;

pub use background::BackgroundCollector;
pub use handle::GarbageCollector;
pub use tracker::ResourceTracker;
