//! Faults of all kinds: each run is resolved once, with the right reason, and leaves nothing behind.

mod clocks;
mod hangs;
mod outages;
mod panics;
mod queue_errors;
mod random;
mod scripted_engine;
mod stage_hook;
mod stops;
mod uploads;

use runtime_mocks::taskcluster::{Fault, FaultRule};

/// Answers a method with 503.
fn unavailable(method: &str) -> FaultRule {
    status(method, 503)
}

/// Answers a method with an HTTP status.
pub(crate) fn status(method: &str, status: u16) -> FaultRule {
    FaultRule::new(
        method,
        Fault::Status {
            status,
            retry_after: None,
        },
    )
}
