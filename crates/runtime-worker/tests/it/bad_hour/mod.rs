//! The bad hour: whatever fails, each run is resolved once, for the right reason, and nothing is left.

mod actors;
mod away;
mod cancel;
mod clocks;
mod gate;
mod hangs;
mod panics;
mod queue_down;
mod storm;
mod uploads;

use runtime_mocks::taskcluster::{Fault, FaultRule};

/// The queue, or what is in front of it, says that it cannot serve.
fn down(method: &str) -> FaultRule {
    refused(method, 503)
}

fn refused(method: &str, status: u16) -> FaultRule {
    FaultRule::new(
        method,
        Fault::Status {
            status,
            retry_after: None,
        },
    )
}
