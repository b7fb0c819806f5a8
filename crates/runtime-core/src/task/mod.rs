//! A running task: its context, for engine and plugins, and its controller, for the worker.

mod context;
mod controller;
mod info;
mod log;
mod shared;
mod stop;

pub use context::TaskContext;
pub use controller::TaskContextController;
pub use info::TaskInfo;
pub use log::{LogDrain, LogOptions};
pub use stop::StopReason;
