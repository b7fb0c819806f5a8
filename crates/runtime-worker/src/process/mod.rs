//! An engine that runs a task as processes of this machine.
//!
//! Each task gets a folder of its own, an environment that holds nothing of the worker's, and a
//! process group, so that nothing of it outlives the task. It is no security boundary: tasks run as
//! the worker's user.

mod builder;
mod child;
mod engine;
mod folder;
mod output;
mod payload;
mod sandbox;

pub use engine::ProcessEngine;
