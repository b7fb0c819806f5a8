//! Services that only an application calls, not through a port.

mod auth;
mod pool_config;
mod purge_cache;
mod secrets;
pub(crate) mod worker_manager;

pub use auth::{SentryDsn, WebsocktunnelToken};
pub use pool_config::{PoolConfigError, worker_config_for};
pub use secrets::StoredSecret;
pub use worker_manager::{RegisterResponse, TerminationNotice, WorkerErrorReport, WorkerName};
