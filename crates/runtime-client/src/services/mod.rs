//! Services that an application calls beside the ports.

mod auth;
mod purge_cache;
mod secrets;
mod worker_manager;

pub use auth::{SentryDsn, WebsocktunnelToken};
pub use secrets::StoredSecret;
pub use worker_manager::{Registration, TerminationNotice, WorkerError, WorkerName};
