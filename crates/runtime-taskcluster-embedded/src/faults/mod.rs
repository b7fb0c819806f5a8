//! Injected faults: the rules in effect, their counts, and the faults of one call.

mod apply;
mod fault;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

pub use self::fault::{Fault, FaultRule, UnknownMethodError};

/// A handle to an injected fault.
#[derive(Clone, Debug)]
pub struct FaultHandle(Arc<AtomicU32>);

impl FaultHandle {
    /// Returns the number of calls that the fault was applied to.
    #[must_use]
    pub fn hits(&self) -> u32 {
        self.0.load(Ordering::Acquire)
    }
}

#[derive(Debug)]
struct ActiveRule {
    rule: FaultRule,
    /// The number of matching calls, including the skipped ones.
    calls: u32,
    hits: Arc<AtomicU32>,
}

impl ActiveRule {
    /// Counts a matching call, and returns whether the fault applies to it.
    fn count_call(&mut self) -> bool {
        self.calls = self.calls.saturating_add(1);
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

/// Faults that only the handler of a method can apply.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct HandlerFaults {
    pub(crate) expired_urls: bool,
    pub(crate) expired_credentials: bool,
}

impl FaultPlan {
    /// Returns the faults that the handler has to apply.
    pub(crate) fn handler_faults(&self) -> HandlerFaults {
        HandlerFaults {
            expired_urls: self.fault == Some(Fault::ExpiredUrl),
            expired_credentials: self.fault == Some(Fault::ExpiredCredentials),
        }
    }
}

impl FaultRules {
    pub(crate) fn inject(&self, rule: FaultRule) -> FaultHandle {
        let hits = Arc::new(AtomicU32::new(0));
        let injected = FaultHandle(Arc::clone(&hits));
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
    /// All latencies are added. Of the other faults, only the first one applies, and the other rules do not count the
    /// call.
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
                    let latency = Duration::from_millis(millis);
                    plan.latency = plan.latency.saturating_add(latency);
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
}
