//! Random faults: the next one or two calls of a method fail.

use fastrand::Rng;
use runtime_mocks::taskcluster::{Fault, FaultRule, InjectedFault, Taskcluster};

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

/// An injected fault rule.
pub(crate) struct InjectedRule {
    pub(crate) method: &'static str,
    pub(crate) kind: String,
    handle: InjectedFault,
}

impl InjectedRule {
    /// Returns the number of calls that failed.
    pub(crate) fn hits(&self) -> u64 {
        self.handle.hits().into()
    }
}

/// Injects a random fault into the next one or two calls of a random method.
pub(crate) fn inject(rng: &mut Rng, taskcluster: &Taskcluster) -> InjectedRule {
    let (method, faults) = FAULTS[rng.usize(0..FAULTS.len())];
    let fault = faults[rng.usize(0..faults.len())];
    // A stalled upload blocks a slot of the worker for a minute. More than one at a time would block all slots.
    let is_stall = matches!(fault, Fault::Stall { .. });
    let times = rng.u32(1..=if is_stall { 1 } else { 2 });
    let rule = FaultRule::new(method, fault).times(times);
    let kind = serde_json::to_value(fault).unwrap_or_default();
    InjectedRule {
        method,
        kind: kind["kind"].as_str().unwrap_or_default().to_owned(),
        handle: taskcluster.inject(rule),
    }
}
