//! Operations on folders with all of their content, of any depth.
//!
//! A task can nest folders deeper than a thread's stack, than the limit on open files, and than the longest path
//! that the kernel accepts. Both operations therefore use a loop instead of recursion, a fixed number of
//! descriptors, and names relative to an open folder instead of paths.

mod measure;
mod remove;

pub use measure::{TreeSize, measure_tree};
pub use remove::{RemoveTreeError, remove_tree};
