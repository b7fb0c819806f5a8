//! One decision of a collection: evaluates the limits and takes the resources to dispose of.

use tokio::time::Instant;

use super::core::Collector;
use crate::policy::{Evaluation, RuleDemand};
use crate::registry::{
    ClassTotals, Entry, EvictionFilter, FootprintSum, FreedSpace, Registry, Selection,
};
use crate::rule::{EvictionReason, LimitRule};
use crate::shared::{SharedRegistry, SystemState};

/// The maximum number of victims per decision. Then the statistics are read again, which corrects for
/// footprints that are unknown or wrong before too much is evicted.
const MAX_VICTIMS: usize = 128;
/// The maximum number of entries examined per acquisition of the registry's lock.
const LOCK_BUDGET: u32 = 64;

/// The purpose of a collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    MeetLimits,
    EvictEverything,
}

/// The state that the decisions of one collection share.
#[derive(Debug)]
pub(super) struct Collection {
    pub(super) purpose: Purpose,
    /// Retries that are due at this time take part in the collection, so each disposal is attempted at most
    /// once per collection.
    pub(super) started: Instant,
    /// Rules whose trigger was exceeded, so that the collection continues to their target.
    active: Vec<LimitRule>,
}

impl Collection {
    pub(super) fn new(purpose: Purpose) -> Self {
        Self {
            purpose,
            started: Instant::now(),
            active: Vec::new(),
        }
    }

    fn activate(&mut self, rules: impl Iterator<Item = LimitRule>) {
        for rule in rules {
            if !self.active.contains(&rule) {
                self.active.push(rule);
            }
        }
    }
}

/// The result of one decision.
#[derive(Debug, Default)]
pub(super) struct Decision {
    pub(super) victims: Vec<(Entry, EvictionReason)>,
    pub(super) evaluation: Evaluation,
    /// A limit is exceeded, and disposals of other collections in progress may be enough.
    pub(super) must_wait: bool,
}

impl Collector {
    /// Reads the statistics once and takes the victims of the resulting demands.
    pub(super) fn decide(&self, collection: &mut Collection) -> Decision {
        self.with_state(|state| {
            DecisionBuilder::new(&self.shared, state.in_flight).decide(state, collection)
        })
    }
}

struct DecisionBuilder<'a> {
    shared: &'a SharedRegistry,
    /// The sum of all disposals in progress, of this and other collections, and of the victims.
    in_flight: FootprintSum,
    /// The victims that are still included in the totals with which the limits were evaluated.
    chosen: ClassTotals,
    decision: Decision,
}

impl<'a> DecisionBuilder<'a> {
    fn new(shared: &'a SharedRegistry, in_flight: FootprintSum) -> Self {
        Self {
            shared,
            in_flight,
            chosen: ClassTotals::default(),
            decision: Decision::default(),
        }
    }

    fn decide(mut self, state: &SystemState, collection: &mut Collection) -> Decision {
        // Before this decision adds its own victims.
        let others_in_flight = self.in_flight.count > 0;
        self.take_due(collection.started);
        // The limits are evaluated with totals that no longer include the victims so far.
        self.chosen = ClassTotals::default();
        let evaluation = self
            .shared
            .policy_input(state, &collection.active)
            .evaluate();
        evaluation.demands.iter().for_each(|it| self.meet(it));
        // The limits were met above in this case too: their victims are reported with the limit as
        // the reason.
        let everything = collection.purpose == Purpose::EvictEverything;
        if everything {
            self.take_everything();
        }
        // From now on, these rules are evaluated against their target.
        // Evicting only down to the trigger would start another collection with the next task.
        collection.activate(evaluation.rules());
        self.decision.must_wait =
            others_in_flight && (everything || evaluation.rules().next().is_some());
        self.decision.evaluation = evaluation;
        self.decision
    }

    /// Takes discarded resources and retries that are due, regardless of limits.
    fn take_due(&mut self, by: Instant) {
        let select = |registry: &mut Registry, budget: &mut _| registry.select_due(by, budget);
        self.take(select, None, |_| false);
    }

    fn take_everything(&mut self) {
        let filter = EvictionFilter {
            class: None,
            frees: FreedSpace::Anything,
            last_used_before: None,
        };
        let select = |registry: &mut Registry, budget: &mut _| registry.select(&filter, budget);
        self.take(select, Some(EvictionReason::Everything), |_| false);
    }

    fn meet(&mut self, demand: &RuleDemand) {
        let filter = demand.filter();
        let max_unknown = self.shared.config.max_parallel_disposals.max(1) as u64;
        let select = |registry: &mut Registry, budget: &mut _| registry.select(&filter, budget);
        self.take(select, Some(EvictionReason::Rule(demand.rule)), |it| {
            let chosen = it.chosen.of(demand.rule.class);
            demand.is_met(&it.in_flight, chosen, max_unknown)
        });
    }

    /// Takes victims until they suffice, no resource matches, or the maximum per decision is reached.
    fn take(
        &mut self,
        mut select: impl FnMut(&mut Registry, &mut u32) -> Selection,
        reason: Option<EvictionReason>,
        is_enough: impl Fn(&Self) -> bool,
    ) {
        while self.decision.victims.len() < MAX_VICTIMS && !is_enough(self) {
            // A selection may have to correct the position of many resources that were used since. The lock is released
            // in between, so that users and other collections do not wait for all of them.
            let mut budget = LOCK_BUDGET;
            let selection = select(&mut self.shared.registry(), &mut budget);
            match selection {
                Selection::Victim(victim) => self.add(victim, reason),
                Selection::OutOfBudget => {}
                Selection::Exhausted => return,
            }
        }
    }

    fn add(&mut self, victim: Entry, reason: Option<EvictionReason>) {
        // The registry counts the victim as well, but this decision took its copy of the sum
        // before.
        self.in_flight.add(&victim.footprint);
        self.chosen.add(victim.class, &victim.footprint);
        // Due resources are discarded ones and retries, which differ in their failures.
        let reason = reason.unwrap_or(match victim.failures {
            0 => EvictionReason::Discarded,
            _ => EvictionReason::Retry,
        });
        self.decision.victims.push((victim, reason));
    }
}
