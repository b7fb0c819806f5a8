//! A task while it runs: the context that engine and plugins see, and its controller.

mod context;
mod controller;
mod info;
mod log;
mod stop;

pub use context::TaskContext;
pub use controller::TaskContextController;
pub use info::TaskInfo;
pub use log::{LogDrain, LogOptions};
pub use stop::StopReason;
