//! Injected faults: the kinds, the rules that select calls, and their counts.

pub(crate) mod apply;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// A failure to inject into calls.
///
/// The JSON form, for the control endpoint, is `{"kind": "status", "status": 503}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
#[non_exhaustive]
pub enum Fault {
    /// Responds with an error of the service and does not run the method.
    Status {
        /// The HTTP status.
        status: u16,
        /// The value of `Retry-After`, in seconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after: Option<u32>,
    },
    /// Responds with an HTML page, like a load balancer, and does not run the method.
    Html {
        /// The HTTP status.
        status: u16,
    },
    /// Resets the connection and does not run the method.
    Reset {
        /// The number of request body bytes to read first.
        #[serde(default)]
        after: u64,
    },
    /// Never responds and does not run the method.
    Stall {
        /// The number of request body bytes to read first.
        #[serde(default)]
        after: u64,
    },
    /// Runs the method and resets the connection instead of responding.
    LostResponse,
    /// Delays the method. Other faults may apply to the same call.
    Latency {
        /// The delay in milliseconds.
        millis: u64,
    },
    /// Runs the method and closes the connection within the response body.
    Truncate {
        /// The number of response body bytes to send first.
        after: u64,
    },
    /// Runs the method and stops sending within the response body.
    StallBody {
        /// The number of response body bytes to send first.
        after: u64,
    },
    /// Runs the method and sends the response body slowly.
    Slow {
        /// The rate of the response body.
        bytes_per_second: u64,
    },
    /// Returns URLs that have already expired, from `queue.createArtifact`, `object.createUpload`
    /// and `object.startDownload`.
    ExpiredUrl,
    /// Returns credentials that have already expired, from `queue.claimWork`, `queue.claimTask`,
    /// `queue.reclaimTask` and `queue.createArtifact` of objects.
    ExpiredCredentials,
}

/// A fault and the calls that it applies to.
///
/// Methods have the names of the official references, for example `queue.claimWork` or
/// `purge-cache.purgeRequests`; those of the S3-like store are `s3.put` and `s3.get`. A trailing `*`
/// matches any suffix.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FaultRule {
    method: String,
    fault: Fault,
    /// The number of calls that fail, by default all.
    #[serde(default)]
    times: Option<u32>,
    /// The number of calls that succeed before the first failure.
    #[serde(default)]
    skip: u32,
    /// A text that the path of the request must contain.
    #[serde(default)]
    path: Option<String>,
}

impl FaultRule {
    /// Creates a rule for every call of a method.
    pub fn new(method: impl Into<String>, fault: Fault) -> Self {
        Self {
            method: method.into(),
            fault,
            times: None,
            skip: 0,
            path: None,
        }
    }

    /// Sets the number of calls that fail.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// Sets the number of calls that succeed before the first failure.
    #[must_use]
    pub fn skip(mut self, calls: u32) -> Self {
        self.skip = calls;
        self
    }

    /// Restricts the rule to requests whose decoded path contains a text, such as an artifact name.
    #[must_use]
    pub fn on_path(mut self, part: impl Into<String>) -> Self {
        self.path = Some(part.into());
        self
    }

    fn matches(&self, method: &str, path: &str) -> bool {
        let matches_method = match self.method.strip_suffix('*') {
            Some(prefix) => method.starts_with(prefix),
            None => method == self.method,
        };
        matches_method && self.path.as_ref().is_none_or(|part| path.contains(part))
    }
}

/// A handle to an injected fault.
#[derive(Clone, Debug)]
pub struct InjectedFault(Arc<AtomicU32>);

impl InjectedFault {
    /// Returns the number of calls that the fault was applied to.
    #[must_use]
    pub fn hits(&self) -> u32 {
        self.0.load(Ordering::Acquire)
    }
}

#[derive(Debug)]
struct ActiveRule {
    rule: FaultRule,
    /// The number of matching calls, with the skipped ones.
    calls: u32,
    hits: Arc<AtomicU32>,
}

impl ActiveRule {
    /// Counts a matching call, and returns whether the fault applies to it.
    fn count_call(&mut self) -> bool {
        self.calls += 1;
        let hits = self.hits.load(Ordering::Acquire);
        let applies =
            self.calls > self.rule.skip && self.rule.times.is_none_or(|times| hits < times);
        self.hits.fetch_add(u32::from(applies), Ordering::AcqRel);
        applies
    }
}

/// The rules that are in effect.
#[derive(Debug, Default)]
pub(crate) struct FaultRules(Mutex<Vec<ActiveRule>>);

/// The faults to apply to one call.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FaultPlan {
    latency: Duration,
    fault: Option<Fault>,
}

/// Faults that only the handler of a method can commit.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct HandlerFaults {
    pub(crate) expired_urls: bool,
    pub(crate) expired_credentials: bool,
}

impl FaultPlan {
    /// Returns the faults that the handler has to commit.
    pub(crate) fn handler_faults(&self) -> HandlerFaults {
        HandlerFaults {
            expired_urls: self.fault == Some(Fault::ExpiredUrl),
            expired_credentials: self.fault == Some(Fault::ExpiredCredentials),
        }
    }
}

impl FaultRules {
    pub(crate) fn inject(&self, rule: FaultRule) -> InjectedFault {
        let hits = Arc::new(AtomicU32::new(0));
        let injected = InjectedFault(Arc::clone(&hits));
        self.0.lock().push(ActiveRule {
            rule,
            calls: 0,
            hits,
        });
        injected
    }

    pub(crate) fn clear(&self) {
        self.0.lock().clear();
    }

    /// Returns the rules, each with its number of hits.
    pub(crate) fn list(&self) -> Vec<(FaultRule, u32)> {
        let rules = self.0.lock();
        rules
            .iter()
            .map(|active| (active.rule.clone(), active.hits.load(Ordering::Acquire)))
            .collect()
    }

    /// Counts a call with the rules that match it, and returns the faults to apply.
    ///
    /// All latencies add up. Of the other faults only the first applies, and a rule that another
    /// one shadows does not count the call.
    pub(crate) fn plan(&self, method: &str, path: &str) -> FaultPlan {
        let mut plan = FaultPlan::default();
        let mut rules = self.0.lock();
        for active in rules.iter_mut() {
            if !active.rule.matches(method, path) {
                continue;
            }
            let fault = active.rule.fault;
            if let Fault::Latency { millis } = fault {
                if active.count_call() {
                    plan.latency += Duration::from_millis(millis);
                }
            } else if plan.fault.is_none() && active.count_call() {
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

    fn applies(rules: &FaultRules, method: &str) -> bool {
        rules.plan(method, "/").fault.is_some()
    }

    #[test]
    fn rule_skips_calls_and_then_applies() {
        let rules = FaultRules::default();
        let injected = rules.inject(FaultRule::new("queue.*", FAULT).skip(1).times(2));
        let applied: Vec<_> = (0..4).map(|_| applies(&rules, "queue.status")).collect();
        assert_eq!(applied, [false, true, true, false]);
        assert!(!applies(&rules, "index.findTask"));
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
