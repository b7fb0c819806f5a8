//! Who tells over HTTP that a worker must go: the metadata services of clouds, and the worker manager.
//!
//! | source | how it is asked | what it says |
//! | --- | --- | --- |
//! | [`AwsSpot`] | IMDSv2, every 5 s | the time at which the instance is taken away |
//! | [`GcpPreemption`] | one request that waits | the instance is preempted, in 30 s |
//! | [`AzureEvents`] | every second | what happens to the machine, and not before when |
//! | [`ShouldTerminate`] | the worker manager, every 5 min | the worker is not needed any more |
//!
//! Each is a [`ShutdownSource`](runtime_core::ShutdownSource) for the
//! [`ShutdownManager`](runtime_core::ShutdownManager). None of them ever stops a worker because it could
//! not be asked.
//!
//! ```no_run
//! # use std::sync::Arc;
//! # fn start() -> Result<(), Box<dyn std::error::Error>> {
//! use runtime_client::shutdown::AwsSpot;
//! use runtime_core::{LifeCycleTracker, Monitor, ShutdownManager};
//!
//! let worker = LifeCycleTracker::new();
//! let listening = ShutdownManager::new(Arc::new(worker.clone()), Monitor::null())
//!     .source(AwsSpot::new()?)
//!     .start();
//! # Ok(())
//! # }
//! ```

mod aws;
mod azure;
mod gcp;
mod metadata;
mod polled;
mod terminate;

pub use aws::AwsSpot;
pub use azure::AzureEvents;
pub use gcp::GcpPreemption;
pub use terminate::ShouldTerminate;
