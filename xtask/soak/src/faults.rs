//! The random faults: calls of the worker that go wrong, a few at a time.

use fastrand::Rng;
use runtime_mocks::taskcluster::{Fault, FaultRule, InjectedFault, Taskcluster};

const UNAVAILABLE: Fault = Fault::Status {
    status: 503,
    retry_after: None,
};
const BAD_GATEWAY: Fault = Fault::Html { status: 502 };
const RESET: Fault = Fault::Reset { after: 0 };
const LATE: Fault = Fault::Latency { millis: 2_000 };

/// What may go wrong where. None of it may change how a task ends.
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
        &[
            UNAVAILABLE,
            RESET,
            Fault::Truncate { after: 5_000 },
            Fault::Slow {
                bytes_per_second: 100_000,
            },
        ],
    ),
    (
        "queue.report*",
        &[UNAVAILABLE, BAD_GATEWAY, RESET, LATE, Fault::LostResponse],
    ),
    ("queue.status", &[UNAVAILABLE, RESET]),
];

/// A fault that was injected, and how to call it.
pub(crate) struct Injected {
    pub(crate) method: &'static str,
    pub(crate) kind: String,
    handle: InjectedFault,
}

impl Injected {
    /// How many calls it befell.
    pub(crate) fn hits(&self) -> u64 {
        self.handle.hits().into()
    }
}

/// Makes the next one or two calls of a random method go wrong.
pub(crate) fn inject(rng: &mut Rng, taskcluster: &Taskcluster) -> Injected {
    let (method, faults) = FAULTS[rng.usize(0..FAULTS.len())];
    let fault = faults[rng.usize(0..faults.len())];
    // An upload that stalls keeps a slot of the worker for a minute, so one at a time is enough.
    let most = if matches!(fault, Fault::Stall { .. }) {
        1
    } else {
        2
    };
    let rule = FaultRule::new(method, fault).times(rng.u32(1..=most));
    let kind = serde_json::to_value(fault).unwrap_or_default();
    Injected {
        method,
        kind: kind["kind"].as_str().unwrap_or_default().to_owned(),
        handle: taskcluster.inject(rule),
    }
}
