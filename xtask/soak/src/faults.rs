//! Random faults: the next one or two calls of a method fail.

use fastrand::Rng;
use runtime_taskcluster_embedded::{Fault, FaultRule};

const UNAVAILABLE: Fault = Fault::Status {
    status: 503,
    retry_after: None,
};
const BAD_GATEWAY: Fault = Fault::Html { status: 502 };
const RESET: Fault = Fault::Reset { after: 0 };
const LATE: Fault = Fault::Latency { millis: 2_000 };
const SLOW: Fault = Fault::Slow {
    bytes_per_second: 100_000,
};

/// The faults of each method. None of them may change the resolution of a task.
const FAULTS: &[(&str, &[Fault])] = &[
    (
        "queue.claimWork",
        &[
            UNAVAILABLE,
            BAD_GATEWAY,
            RESET,
            LATE,
            Fault::LostResponse,
            Fault::Truncate { after: 40 },
        ],
    ),
    (
        "queue.reclaimTask",
        &[UNAVAILABLE, RESET, LATE, Fault::LostResponse],
    ),
    (
        "queue.createArtifact",
        &[
            UNAVAILABLE,
            BAD_GATEWAY,
            RESET,
            Fault::ExpiredUrl,
            Fault::LostResponse,
        ],
    ),
    (
        "s3.put",
        &[
            UNAVAILABLE,
            Fault::Reset { after: 1_000 },
            Fault::LostResponse,
            Fault::Stall { after: 1_000 },
        ],
    ),
    (
        "s3.get",
        &[UNAVAILABLE, RESET, Fault::Truncate { after: 5_000 }, SLOW],
    ),
    (
        "queue.report*",
        &[UNAVAILABLE, BAD_GATEWAY, RESET, LATE, Fault::LostResponse],
    ),
    ("queue.status", &[UNAVAILABLE, RESET]),
];

/// Returns a random fault for the next one or two calls of a random method.
pub(crate) fn random_fault(rng: &mut Rng) -> FaultRule {
    let (method, faults) = FAULTS[rng.usize(0..FAULTS.len())];
    let fault = faults[rng.usize(0..faults.len())];
    // A stalled upload blocks a slot of the worker for a minute. More than one at a time would block all slots.
    let is_stall = matches!(fault, Fault::Stall { .. });
    FaultRule::new(method, fault).times(rng.u32(1..=if is_stall { 1 } else { 2 }))
}
