//! Frees idle resources of a worker when disk, inodes or memory run low.
//!
//! | role | type |
//! | --- | --- |
//! | caches, engines and plugins | [`ResourceTracker`] registers each [`Disposable`] |
//! | the worker | [`GarbageCollector`] with the limits of a [`GcConfig`] |
//! | operators | [`GarbageCollector::explain`] returns the planned evictions in order, with their reasons |
//! | tests | a [`SystemStats`] provides the statistics |
//!
//! Idle resources are evicted by [`CostClass`], cheapest first, and by last use within a class, until each
//! exceeded limit reaches its target. A failed disposal is retried later; meanwhile the collection evicts other resources.
//!
//! # Invariants
//!
//! * A resource in use is never disposed of, and a resource being disposed of accepts no users.
//! * A limit whose statistic cannot be read is skipped and reported. It never evicts anything.
//! * No lock is held during a disposal.
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
mod cost_class;
mod disposable;
mod footprint;
mod in_use;
mod monotonic_nanos;
mod plan;
mod policy;
mod registry;
mod report;
mod reservation;
mod resource;
mod rule;
#[cfg(feature = "schema")]
mod schema;
#[cfg(feature = "serde")]
mod serde_impls;
mod shared;
mod stats;
mod sys;
mod text;
mod threshold;
mod units;
mod use_count;

#[cfg(all(test, runtime_loom))]
mod models;

pub use amount::{Amount, ParseAmountError};
pub use collector::{BackgroundCollector, GarbageCollector, ResourceTracker};
pub use config::{GcConfig, GcLimits};
pub use cost_class::CostClass;
pub use disposable::{Disposable, DisposeError};
pub use footprint::{Footprint, Size};
pub use in_use::InUse;
pub use plan::{CollectionPlan, PlannedAction, PlannedResource};
pub use report::{
    CollectionReport, ExceededLimit, FailedDisposal, FreedResource, SkippedRule, SlowDisposal,
};
pub use reservation::{Reservation, ReserveError};
pub use resource::{DisposableResource, ResourceId};
pub use rule::{EvictionReason, LimitKind, LimitRule};
#[cfg(feature = "schema")]
pub use schema::{MINIMUM_KEYWORD, at_least};
pub use stats::{Disk, HostStats, Memory, Stat, Stats, SystemStats};
pub use text::{error_chain, error_sources};
pub use threshold::Threshold;
pub use units::{ByteSize, DurationText, ParseDurationError, ParseSizeError};
