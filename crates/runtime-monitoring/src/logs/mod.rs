//! The log of the worker process: formats, outputs and the thread that writes.

mod bootstrap;
mod builder;
#[cfg(all(unix, any(feature = "journald", feature = "syslog")))]
mod datagrams;
mod event;
mod format;
#[cfg(all(unix, feature = "journald"))]
mod journald;
mod json;
mod layer;
mod output;
pub(crate) mod queue;
#[cfg(all(unix, feature = "syslog"))]
mod syslog;
mod text;
mod workerproto;

pub(crate) use self::bootstrap::BootstrapMonitor;
pub use self::builder::{InstallError, LogBuilder, LogHandle, LogLevels};
pub use self::format::LineFormat;
pub use self::layer::{LogGuard, LogLayer};
pub use self::workerproto::error_report;
