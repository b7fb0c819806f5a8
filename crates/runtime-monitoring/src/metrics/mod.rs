//! Counters, distributions and gauges of a worker, kept in memory and exported on request.

mod builder;
mod catalog;
mod histogram;
#[cfg(feature = "prometheus")]
mod prometheus;
mod series;
mod snapshot;
mod store;

pub use self::builder::MetricsBuilder;
pub use self::catalog::{CATALOG, MetricDescriptor, MetricKind, MetricMetadata, Unit};
#[cfg(feature = "prometheus")]
pub use self::prometheus::OPENMETRICS_CONTENT_TYPE;
#[cfg(feature = "otlp")]
pub(crate) use self::snapshot::families;
pub use self::snapshot::{CounterValue, Distribution, Sample, Snapshot};
pub use self::store::Metrics;
