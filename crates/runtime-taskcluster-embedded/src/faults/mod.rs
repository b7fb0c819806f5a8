//! Faults on purpose: what goes wrong, with which calls, and how often.

pub(crate) mod apply;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// Something that goes wrong with a call.
///
/// As JSON, for the control endpoint: `{"kind": "status", "status": 503}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
#[non_exhaustive]
pub enum Fault {
    /// The call is not done, and the answer is an error in the shape of the service.
    Status {
        /// The HTTP status.
        status: u16,
        /// Seconds for a `Retry-After` header.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after: Option<u32>,
    },
    /// The call is not done, and the answer is a page of HTML, as load balancers make them.
    Html {
        /// The HTTP status.
        status: u16,
    },
    /// The call is not done, and the connection is reset.
    Reset {
        /// After how many bytes of the request's body.
        #[serde(default)]
        after: u64,
    },
    /// The call is not done, and nothing is ever answered.
    Stall {
        /// After how many bytes of the request's body.
        #[serde(default)]
        after: u64,
    },
    /// The call is done, and the connection is reset in place of an answer.
    LostAnswer,
    /// The call is done after some time.
    Latency {
        /// How long it takes.
        millis: u64,
    },
    /// The call is done, and the body of the answer is cut off.
    Truncate {
        /// After how many bytes.
        after: u64,
    },
    /// The call is done, and the body of the answer stops coming.
    StallBody {
        /// After how many bytes.
        after: u64,
    },
    /// The call is done, and the body of the answer comes in drops.
    Slow {
        /// How fast it comes.
        bytes_per_second: u64,
    },
    /// URLs in the answer have already expired: for `queue.createArtifact`, `object.createUpload`
    /// and `object.startDownload`.
    ExpiredUrl,
    /// Credentials in the answer have already expired: for `queue.claimWork`, `queue.claimTask`,
    /// `queue.reclaimTask` and `queue.createArtifact` of objects.
    ExpiredCredentials,
}

/// Which calls a fault befalls.
///
/// Methods are named by service and method as in the official references, `queue.claimWork` or
/// `purge-cache.purgeRequests`; the S3-like store has `s3.put` and `s3.get`. A trailing `*` stands
/// for anything.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FaultRule {
    method: String,
    fault: Fault,
    /// How often; for ever if it is not said.
    #[serde(default)]
    times: Option<u32>,
    /// How many calls go well before.
    #[serde(default)]
    skip: u32,
    /// What the path of the request must contain.
    #[serde(default)]
    path: Option<String>,
}

impl FaultRule {
    /// A fault that befalls every call of a method.
    pub fn new(method: impl Into<String>, fault: Fault) -> Self {
        Self {
            method: method.into(),
            fault,
            times: None,
            skip: 0,
            path: None,
        }
    }

    /// Only so many times.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// Only after so many calls went well.
    #[must_use]
    pub fn skip(mut self, calls: u32) -> Self {
        self.skip = calls;
        self
    }

    /// Only if the decoded path of the request contains a text, the name of an artifact for example.
    #[must_use]
    pub fn on_path(mut self, part: impl Into<String>) -> Self {
        self.path = Some(part.into());
        self
    }

    fn covers(&self, method: &str, path: &str) -> bool {
        let covers_method = match self.method.strip_suffix('*') {
            Some(prefix) => method.starts_with(prefix),
            None => method == self.method,
        };
        covers_method && self.path.as_ref().is_none_or(|part| path.contains(part))
    }
}

/// Counts how often an injected fault has struck.
#[derive(Clone, Debug)]
pub struct InjectedFault(Arc<AtomicU32>);

impl InjectedFault {
    /// How often it has struck.
    #[must_use]
    pub fn hits(&self) -> u32 {
        self.0.load(Ordering::Acquire)
    }
}

#[derive(Debug)]
struct Active {
    rule: FaultRule,
    seen: u32,
    hits: Arc<AtomicU32>,
}

impl Active {
    /// Counts a call, and tells whether the fault befalls it.
    fn strikes(&mut self) -> bool {
        self.seen += 1;
        let hits = self.hits.load(Ordering::Acquire);
        let strikes =
            self.seen > self.rule.skip && self.rule.times.is_none_or(|times| hits < times);
        self.hits.fetch_add(u32::from(strikes), Ordering::AcqRel);
        strikes
    }
}

/// The faults that wait for their calls.
#[derive(Debug, Default)]
pub(crate) struct Faults(Mutex<Vec<Active>>);

/// What befalls one call.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Plan {
    latency: Duration,
    fault: Option<Fault>,
}

impl Faults {
    pub(crate) fn inject(&self, rule: FaultRule) -> InjectedFault {
        let hits = Arc::new(AtomicU32::new(0));
        let injected = InjectedFault(Arc::clone(&hits));
        self.0.lock().push(Active {
            rule,
            seen: 0,
            hits,
        });
        injected
    }

    pub(crate) fn clear(&self) {
        self.0.lock().clear();
    }

    /// The rules, each with how often it has struck.
    pub(crate) fn list(&self) -> Vec<(FaultRule, u32)> {
        let rules = self.0.lock();
        rules
            .iter()
            .map(|active| (active.rule.clone(), active.hits.load(Ordering::Acquire)))
            .collect()
    }

    /// What befalls this call: all latencies, and the first other fault.
    pub(crate) fn take(&self, method: &str, path: &str) -> Plan {
        let mut plan = Plan::default();
        for active in self
            .0
            .lock()
            .iter_mut()
            .filter(|active| active.rule.covers(method, path))
        {
            let fault = active.rule.fault;
            if let Fault::Latency { millis } = fault {
                if active.strikes() {
                    plan.latency += Duration::from_millis(millis);
                }
            } else if plan.fault.is_none() && active.strikes() {
                plan.fault = Some(fault);
            }
        }
        plan
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAULT: Fault = Fault::Status {
        status: 503,
        retry_after: None,
    };

    fn strikes(faults: &Faults, method: &str) -> bool {
        faults.take(method, "/").fault.is_some()
    }

    #[test]
    fn a_rule_lets_calls_pass_and_then_strikes_so_many_times() {
        let faults = Faults::default();
        let injected = faults.inject(FaultRule::new("queue.*", FAULT).skip(1).times(2));
        let struck: Vec<_> = (0..4).map(|_| strikes(&faults, "queue.status")).collect();
        assert_eq!(struck, [false, true, true, false]);
        assert!(!strikes(&faults, "index.findTask"));
        assert_eq!(injected.hits(), 2);
    }

    #[test]
    fn faults_have_a_json_form() {
        let rule: FaultRule = serde_json::from_str(
            r#"{"method":"s3.put","times":1,"fault":{"kind":"reset","after":10}}"#,
        )
        .unwrap();
        assert_eq!(rule.fault, Fault::Reset { after: 10 });
        assert!(
            serde_json::from_str::<FaultRule>(r#"{"method":"*","fault":{"kind":"odd"}}"#).is_err()
        );
    }
}
