//! Incidents and their delivery to services other than the log.

mod delivery;
mod incident;
pub(crate) mod pending;
mod recent;
mod reporters;
mod worker_error;

pub use self::delivery::{Delivery, IncidentQueue, IncidentTransport};
pub use self::incident::{Cause, Incident};
pub use self::pending::DeliveryCounts;
pub use self::recent::RecentIncidents;
pub use self::reporters::{Reporter, Reporters};
