//! Frees idle resources of a worker when disk, inodes or memory run low.
//!
//! | you are | you use |
//! | --- | --- |
//! | a cache, an engine, a plugin | [`ResourceTracker`], to register what implements [`Disposable`] |
//! | a worker | [`GarbageCollector`], with limits in a [`GcConfig`] |
//! | an operator | [`GarbageCollector::explain`]: what would go, in which order, and why |
//! | a test | a [`SystemStats`] of your own, which says how much is left |
//!
//! What is idle goes in the order of its [`CostClass`], the cheap first, and within a class the least
//! recently used first, until every limit is kept. A disposal that fails is tried again later, and the
//! others go on.
//!
//! # Invariants
//!
//! * A resource in use is never disposed of, and one that is being disposed of gets no user.
//! * A statistic that cannot be read never means that everything must go: its limit is skipped and reported.
//! * No lock is held while something is disposed of.
//!
//! # Example
//!
//! ```
//! use std::sync::Arc;
//!
//! use async_trait::async_trait;
//! use runtime_gc::{
//!     GcConfig, Disposable, DisposableResource, DisposeError, Footprint, GarbageCollector, Size, HostStats,
//! };
//!
//! #[derive(Debug)]
//! struct Download(DisposableResource);
//!
//! #[async_trait]
//! impl Disposable for Download {
//!     fn resource(&self) -> &DisposableResource {
//!         &self.0
//!     }
//!
//!     fn footprint(&self) -> Footprint {
//!         Footprint::disk(Size::Known(1_000_000))
//!     }
//!
//!     async fn dispose(&self) -> Result<(), DisposeError> {
//!         Ok(()) // Remove the file here.
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let collector = GarbageCollector::new(GcConfig::default(), HostStats::new("."));
//! collector.tracker().register(Arc::new(Download(DisposableResource::new())));
//!
//! let report = collector.collect_all().await;
//! assert_eq!(report.freed_disk(), 1_000_000);
//! # }
//! ```

mod amount;
mod collector;
mod config;
mod demand;
mod disposable;
mod explain;
mod footprint;
mod moment;
mod pressure;
mod registry;
mod report;
mod reservation;
mod resource;
mod rule;
#[cfg(feature = "schema")]
mod schema;
#[cfg(feature = "serde")]
mod settings;
mod shared;
mod sys;
mod tracker;
mod uses;

#[cfg(all(test, runtime_loom))]
mod models;

pub use amount::{Amount, ParseAmountError};
pub use collector::{BackgroundCollector, GarbageCollector};
pub use config::{GcConfig, GcLimits, Threshold};
pub use disposable::{CostClass, Disposable, DisposeError};
pub use explain::{CollectionPlan, PlannedAction, PlannedResource};
pub use footprint::{Footprint, Size};
pub use pressure::{Disk, HostStats, Memory, Stat, Stats, SystemStats};
pub use registry::ResourceId;
pub use report::{CollectionReport, Failed, Freed, Shortage, Skipped, Slow};
pub use reservation::{Reservation, ReserveError};
pub use resource::{DisposableResource, InUse};
pub use rule::{EvictionReason, Limit, Rule};
pub use tracker::ResourceTracker;
