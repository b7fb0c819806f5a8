//! Frees idle resources of a worker when disk, inodes or memory run low.

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
mod shared;
mod sys;
mod tracker;
mod uses;

pub use amount::{Amount, ParseAmountError};
pub use collector::{Background, GarbageCollector};
pub use config::{Config, Limits, Mark};
pub use disposable::{CostClass, Disposable, DisposeError};
pub use explain::{Explained, Explanation, Fate};
pub use footprint::{Footprint, Size};
pub use pressure::{Disk, Memory, Pressure, Reading, Readings, SystemPressure};
pub use registry::ResourceId;
pub use report::{Failed, Freed, Report, Shortage, Skipped};
pub use reservation::{Reservation, ReserveError};
pub use resource::{DisposableResource, InUse};
pub use rule::{Limit, Reason, Rule};
pub use tracker::ResourceTracker;
