//! From limits and readings to what is needed.

use std::time::Duration;

use crate::config::{GcConfig, GcLimits, Threshold};
use crate::moment::Moment;
use crate::pressure::{Stat, Stats};
use crate::registry::{ClassTotals, Gain, Gained, Kinds, Totals, Want};
use crate::{Amount, CostClass, Limit, Rule, Shortage, Skipped};

/// What one rule needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Demand {
    pub(crate) rule: Rule,
    /// By how much the limit is passed.
    pub(crate) missing: u64,
    /// How much more makes it rest.
    pub(crate) to_rest: u64,
    /// For a limit of age: what was last used before then.
    pub(crate) before: Option<Moment>,
}

impl Demand {
    /// What can help.
    pub(crate) fn want(&self) -> Want {
        let kinds = match self.rule.limit {
            Limit::FreeDisk | Limit::FreeInodes => Kinds::Disk,
            Limit::TotalSize => Kinds::SizedDisk,
            Limit::AvailableMemory | Limit::MemoryStall => Kinds::Memory,
            Limit::Count | Limit::Age => Kinds::Any,
        };
        Want {
            class: self.rule.class,
            kinds,
            before: self.before,
        }
    }

    /// Whether it is enough to dispose of what gives this, at least until the system was asked again.
    ///
    /// `coming` is what frees disk and memory, begun by whoever; `chosen` is what this decision chose of
    /// the rule's class, which was in the totals when the demand was made.
    pub(crate) fn is_met(&self, coming: &Gain, chosen: Totals, most_unknown: u64) -> bool {
        let enough =
            |gained: Gained| gained.known >= self.to_rest || gained.unknown >= most_unknown;
        match self.rule.limit {
            Limit::FreeDisk => enough(coming.disk),
            Limit::FreeInodes => enough(coming.inodes),
            Limit::AvailableMemory => enough(coming.memory),
            Limit::MemoryStall => coming.count >= most_unknown,
            Limit::TotalSize => chosen.disk >= self.to_rest,
            Limit::Count => chosen.count >= self.to_rest,
            Limit::Age => false,
        }
    }
}

/// What is known when a decision is made.
#[derive(Debug)]
pub(crate) struct Situation<'a> {
    pub(crate) config: &'a GcConfig,
    pub(crate) readings: &'a Stats,
    pub(crate) totals: ClassTotals,
    /// Bytes on disk that somebody was promised.
    pub(crate) reserved: u64,
    pub(crate) now: Moment,
    /// Rules that were found broken earlier in this collection, which go on until they rest.
    pub(crate) active: &'a [Rule],
}

/// The demands of all rules, and the rules that cannot be judged.
#[derive(Debug, Default)]
pub(crate) struct Demands {
    pub(crate) demands: Vec<Demand>,
    pub(crate) skipped: Vec<Skipped>,
}

impl Situation<'_> {
    pub(crate) fn demands(&self) -> Demands {
        let mut demands = Demands::default();
        for class in CostClass::ALL {
            self.judge(Some(class), self.config.class(class), &mut demands);
        }
        self.judge(None, &self.config.limits, &mut demands);
        demands
    }

    /// What the disk can hold above its floor; without bound if that cannot be read.
    pub(crate) fn capacity(&self) -> u64 {
        let Some(disk) = self.readings.disk.known() else {
            return u64::MAX;
        };
        let floor =
            set(self.config.limits.min_free_disk).map(|threshold| threshold.floor(disk.total).0);
        disk.total.saturating_sub(floor.unwrap_or(0))
    }

    fn judge(&self, class: Option<CostClass>, limits: &GcLimits, out: &mut Demands) {
        let rule = |limit| Rule { class, limit };
        self.age(rule(Limit::Age), limits.max_age, out);
        self.count(rule(Limit::Count), limits.max_count, out);
        self.total_size(rule(Limit::TotalSize), limits.max_total_size, out);
        self.free_disk(rule(Limit::FreeDisk), limits.min_free_disk, out);
        self.free_inodes(rule(Limit::FreeInodes), limits.min_free_inodes, out);
        self.memory(
            rule(Limit::AvailableMemory),
            limits.min_available_memory,
            out,
        );
        self.stall(rule(Limit::MemoryStall), limits.max_memory_stall, out);
    }

    fn age(&self, rule: Rule, limit: Option<Duration>, out: &mut Demands) {
        let Some(age) = limit.filter(|age| !age.is_zero()) else {
            return;
        };
        out.demands.push(Demand {
            rule,
            missing: 0,
            to_rest: u64::MAX,
            before: Some(self.now.earlier(age)),
        });
    }

    fn count(&self, rule: Rule, limit: Option<Threshold<u64>>, out: &mut Demands) {
        let Some(threshold) = limit.filter(|threshold| threshold.trigger > 0) else {
            return;
        };
        let target = threshold
            .target
            .map_or(threshold.trigger, |target| target.min(threshold.trigger));
        self.ceiling(
            rule,
            self.totals.of(rule.class).count,
            (threshold.trigger, target),
            out,
        );
    }

    fn total_size(&self, rule: Rule, limit: Option<Threshold<Amount>>, out: &mut Demands) {
        let Some(threshold) = set(limit) else { return };
        let relative = matches!(threshold.trigger, Amount::Percent(_))
            || matches!(threshold.target, Some(Amount::Percent(_)));
        let total = match self.readings.disk.known() {
            Some(disk) => disk.total,
            None if relative => return skip(rule, &self.readings.disk, out),
            None => 0,
        };
        self.ceiling(
            rule,
            self.totals.of(rule.class).disk,
            threshold.ceiling(total),
            out,
        );
    }

    fn free_disk(&self, rule: Rule, limit: Option<Threshold<Amount>>, out: &mut Demands) {
        // What was promised has to be there even if no floor is set.
        let promised = if rule.class.is_none() {
            self.reserved
        } else {
            0
        };
        let threshold = set(limit);
        if threshold.is_none() && promised == 0 {
            return;
        }
        let Some(disk) = self.readings.disk.known() else {
            return skip(rule, &self.readings.disk, out);
        };
        let (limit, rest) = threshold.map_or((0, 0), |threshold| threshold.floor(disk.total));
        let wanted = (
            limit.saturating_add(promised),
            rest.saturating_add(promised),
        );
        self.floor(rule, disk.free, wanted, out);
    }

    fn free_inodes(&self, rule: Rule, limit: Option<Threshold<Amount>>, out: &mut Demands) {
        let Some(threshold) = set(limit) else { return };
        match self.readings.disk.known() {
            // Some file systems make inodes as they go and count none.
            Some(disk) if disk.inodes == 0 => {}
            Some(disk) => self.floor(rule, disk.free_inodes, threshold.floor(disk.inodes), out),
            None => skip(rule, &self.readings.disk, out),
        }
    }

    fn memory(&self, rule: Rule, limit: Option<Threshold<Amount>>, out: &mut Demands) {
        let Some(threshold) = set(limit) else { return };
        match self.readings.memory.known() {
            Some(memory) => self.floor(rule, memory.available, threshold.floor(memory.total), out),
            None => skip(rule, &self.readings.memory, out),
        }
    }

    fn stall(&self, rule: Rule, limit: Option<f64>, out: &mut Demands) {
        let Some(limit) = limit.filter(|limit| *limit > 0.0) else {
            return;
        };
        let Some(memory) = self.readings.memory.known() else {
            return skip(rule, &self.readings.memory, out);
        };
        let Some(stall) = memory.stall else {
            let reason = "the system does not tell how long it waits for memory".to_owned();
            return out.skipped.push(Skipped { rule, reason });
        };
        let over = stall - limit;
        // The average lags behind by seconds, so one collection frees a little and the next looks again.
        if over > 0.0 && !self.active.contains(&rule) {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a positive percentage"
            )]
            let missing = over.ceil() as u64;
            out.demand(rule, missing, missing);
        }
    }

    fn floor(&self, rule: Rule, have: u64, (limit, rest): (u64, u64), out: &mut Demands) {
        if have < limit || self.active.contains(&rule) && have < rest {
            out.demand(rule, limit.saturating_sub(have), rest - have);
        }
    }

    fn ceiling(&self, rule: Rule, have: u64, (limit, rest): (u64, u64), out: &mut Demands) {
        if have > limit || self.active.contains(&rule) && have > rest {
            out.demand(rule, have.saturating_sub(limit), have - rest);
        }
    }
}

impl Demands {
    /// The rules that are broken. Age is none of them: it asks for what is old, not for an amount.
    pub(crate) fn rules(&self) -> impl Iterator<Item = Rule> {
        let broken = self.demands.iter().filter(|it| it.before.is_none());
        broken.map(|it| it.rule)
    }

    /// The limits that are passed, not those that are only short of where they rest.
    pub(crate) fn shortages(&self) -> Vec<Shortage> {
        let short = self.demands.iter().filter(|it| it.missing > 0);
        short
            .map(|it| Shortage {
                rule: it.rule,
                missing: it.missing,
            })
            .collect()
    }

    fn demand(&mut self, rule: Rule, missing: u64, to_rest: u64) {
        self.demands.push(Demand {
            rule,
            missing,
            to_rest,
            before: None,
        });
    }
}

fn set(limit: Option<Threshold<Amount>>) -> Option<Threshold<Amount>> {
    limit.filter(|threshold| !threshold.trigger.is_zero())
}

fn skip<T>(rule: Rule, reading: &Stat<T>, out: &mut Demands) {
    let reason = reading.reason().unwrap_or_default().to_owned();
    out.skipped.push(Skipped { rule, reason });
}
