//! Shutdown sources over HTTP: the metadata services of clouds, and the worker manager.
//!
//! | source | request | notice |
//! | --- | --- | --- |
//! | [`AwsSpot`] | IMDSv2, every 5 s | the spot instance will be reclaimed, with a time |
//! | [`GcpPreemption`] | a request that the service holds | the instance is preempted in 30 s |
//! | [`AzureEvents`] | every second | an event such as an eviction, with its earliest time |
//! | [`ShouldTerminateSource`] | the worker manager, every 5 min | the worker is no longer needed |
//!
//! Each is a [`ShutdownSource`](runtime_core::ShutdownSource) for the
//! [`ShutdownManager`](runtime_core::ShutdownManager). A service that cannot be reached never stops a worker.
//!
//! ```no_run
//! # use std::sync::Arc;
//! # fn start() -> Result<(), Box<dyn std::error::Error>> {
//! use runtime_client::shutdown::AwsSpot;
//! use runtime_core::{LifeCycleTracker, Monitor, ShutdownManager};
//!
//! let worker = LifeCycleTracker::new();
//! let listener = ShutdownManager::new(Arc::new(worker.clone()), Monitor::null())
//!     .source(AwsSpot::new()?)
//!     .start();
//! # Ok(())
//! # }
//! ```

mod aws;
mod azure;
mod gcp;
mod metadata_source;
mod should_terminate;

pub use aws::AwsSpot;
pub use azure::AzureEvents;
pub use gcp::GcpPreemption;
pub use metadata_source::MetadataShutdownSource;
pub use should_terminate::ShouldTerminateSource;
