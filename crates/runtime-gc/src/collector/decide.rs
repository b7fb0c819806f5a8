//! One decision: what is needed now, and what goes for it.

use tokio::time::Instant;

use super::Inner;
use crate::demand::{Demand, Demands, Situation};
use crate::moment::Moment;
use crate::pressure::Stats;
use crate::registry::{ClassTotals, Gain, Kinds, Next, Registry, Victim, Want};
use crate::shared::Shared;
use crate::{EvictionReason, Rule};

/// How many are chosen in one decision. Then the system is asked again.
const BATCH: usize = 128;
/// How many resources are looked at before others get the lock.
const LOOKS: u32 = 64;

/// What a collection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Needed,
    Everything,
}

/// What the decisions of one collection have in common.
#[derive(Debug)]
pub(super) struct Collection {
    pub(super) purpose: Purpose,
    /// A failure is tried again if its time has come by then, so at most once in a collection.
    pub(super) began: Instant,
    /// Rules that were found broken, which go on until they rest.
    pub(super) active: Vec<Rule>,
}

impl Collection {
    pub(super) fn new(purpose: Purpose) -> Self {
        Self {
            purpose,
            began: Instant::now(),
            active: Vec::new(),
        }
    }

    fn activate(&mut self, rules: impl Iterator<Item = Rule>) {
        for rule in rules {
            if !self.active.contains(&rule) {
                self.active.push(rule);
            }
        }
    }
}

/// What was decided.
#[derive(Debug, Default)]
pub(super) struct Decision {
    pub(super) chosen: Vec<(Victim, EvictionReason)>,
    pub(super) demands: Demands,
    /// There is a need, and disposals that others have begun may be what it takes.
    pub(super) waits: bool,
}

impl Inner {
    /// Asks the system once and claims what has to go for the demands that follow from it.
    pub(super) fn decide(&self, collection: &mut Collection) -> Decision {
        self.consider(|readings| Choice::new(&self.shared).decide(readings, collection))
    }

    /// Asks the system once, and has a decision made by what it says while nobody else makes one.
    pub(super) fn consider<T>(&self, decide: impl FnOnce(&Stats) -> T) -> T {
        loop {
            // What ended since the system was asked is in neither the readings nor the gain, so ask again.
            let settled = *self.shared.settled.borrow();
            let readings = self.pressure.read();
            let _one_at_a_time = self.deciding.lock();
            if settled == *self.shared.settled.borrow() {
                return decide(&readings);
            }
        }
    }
}

/// A decision in the making.
struct Choice<'a> {
    shared: &'a Shared,
    /// What frees disk and memory, begun by whoever.
    coming: Gain,
    /// What was chosen here and is still in the totals that demands were made from.
    chosen: ClassTotals,
    decision: Decision,
}

impl<'a> Choice<'a> {
    fn new(shared: &'a Shared) -> Self {
        Self {
            shared,
            coming: shared.registry().in_flight,
            chosen: ClassTotals::default(),
            decision: Decision::default(),
        }
    }

    fn decide(mut self, readings: &Stats, collection: &mut Collection) -> Decision {
        let others = self.coming.count > 0;
        self.take_due(collection.began);
        // Judged after that, since what is due has left the totals.
        self.chosen = ClassTotals::default();
        let demands = self.demands(readings, &collection.active);
        demands.demands.iter().for_each(|it| self.satisfy(it));
        let everything = collection.purpose == Purpose::Everything;
        if everything {
            self.take_everything();
        }
        collection.activate(demands.rules());
        self.decision.waits = others && (everything || demands.rules().next().is_some());
        self.decision.demands = demands;
        self.decision
    }

    fn demands(&self, readings: &Stats, active: &[Rule]) -> Demands {
        let totals = self.shared.registry().totals;
        Situation {
            config: &self.shared.config,
            readings,
            totals,
            reserved: self.shared.reserved(),
            now: Moment::now(),
            active,
        }
        .demands()
    }

    /// What was discarded, and failures whose time has come.
    fn take_due(&mut self, by: Instant) {
        self.take(
            |registry, budget| registry.next_due(by, budget),
            None,
            |_| false,
        );
    }

    fn take_everything(&mut self) {
        let want = Want {
            class: None,
            kinds: Kinds::Any,
            before: None,
        };
        self.take(
            |registry, budget| registry.next(&want, budget),
            Some(EvictionReason::Everything),
            |_| false,
        );
    }

    fn satisfy(&mut self, demand: &Demand) {
        let want = demand.want();
        let most_unknown = self.shared.config.max_parallel_disposals.max(1) as u64;
        self.take(
            |registry, budget| registry.next(&want, budget),
            Some(EvictionReason::Rule(demand.rule)),
            |choice| {
                let chosen = choice.chosen.of(demand.rule.class);
                demand.is_met(&choice.coming, chosen, most_unknown)
            },
        );
    }

    /// Takes one after the other until it is enough, there is no more, or the batch is full.
    fn take(
        &mut self,
        mut next: impl FnMut(&mut Registry, &mut u32) -> Next,
        reason: Option<EvictionReason>,
        enough: impl Fn(&Self) -> bool,
    ) {
        while self.decision.chosen.len() < BATCH && !enough(self) {
            let mut budget = LOOKS;
            let found = next(&mut self.shared.registry(), &mut budget);
            match found {
                Next::Victim(victim) => self.add(victim, reason),
                Next::Pause => {}
                Next::Nothing => return,
            }
        }
    }

    fn add(&mut self, victim: Victim, reason: Option<EvictionReason>) {
        self.coming.add(&victim.footprint);
        self.chosen.add(victim.class, &victim.footprint);
        let reason = reason.unwrap_or(match victim.failures {
            0 => EvictionReason::Discarded,
            _ => EvictionReason::Retry,
        });
        self.decision.chosen.push((victim, reason));
    }
}
