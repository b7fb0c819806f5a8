//! The policy: compares limits with statistics and decides how much to evict.

use std::time::Duration;

use crate::amount::Amount;
use crate::config::{GcConfig, GcLimits};
use crate::cost_class::CostClass;
use crate::monotonic_nanos::MonotonicNanos;
use crate::registry::{ClassTotals, EvictionFilter, FootprintSum, FreedSpace, SizeSum, Totals};
use crate::report::{ExceededLimit, SkippedRule};
use crate::rule::{LimitKind, LimitRule};
use crate::stats::{Disk, Memory, Stat, Stats};
use crate::threshold::Threshold;

/// The amount that one rule asks to evict: bytes, inodes, or a number of resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RuleDemand {
    pub(crate) rule: LimitRule,
    /// The excess over the trigger.
    pub(crate) over_trigger: u64,
    /// The excess over the target.
    pub(crate) over_target: u64,
    /// For a maximum age: the time before which a resource must have been last used.
    last_used_before: Option<MonotonicNanos>,
}

impl RuleDemand {
    /// Returns the resources whose eviction helps.
    pub(crate) fn filter(&self) -> EvictionFilter {
        let frees = match self.rule.limit {
            LimitKind::FreeDisk | LimitKind::FreeInodes => FreedSpace::Disk,
            // Unknown sizes are not part of the total, so evicting them would not reduce it.
            LimitKind::TotalSize => FreedSpace::KnownDisk,
            LimitKind::AvailableMemory | LimitKind::MemoryStall => FreedSpace::Memory,
            LimitKind::Count | LimitKind::Age => FreedSpace::Anything,
        };
        EvictionFilter {
            class: self.rule.class,
            frees,
            last_used_before: self.last_used_before,
        }
    }

    /// Returns whether the evictions suffice, at least until the statistics are read again.
    ///
    /// `in_flight` is the sum of all disposals in progress, including those of other collections: the space
    /// that they will free is not in the statistics yet. `chosen` is the sum of this decision's victims of the
    /// rule's class: `over_target` was computed from totals that still include them.
    ///
    /// A resource of unknown size could free any amount, so at most `max_unknown` of them are evicted before
    /// the statistics are read again. Without this bound, an exceeded rule would evict all such resources at
    /// once.
    pub(crate) fn is_met(
        &self,
        in_flight: &FootprintSum,
        chosen: Totals,
        max_unknown: u64,
    ) -> bool {
        let enough = |sum: SizeSum| sum.known >= self.over_target || sum.unknown >= max_unknown;
        match self.rule.limit {
            LimitKind::FreeDisk => enough(in_flight.disk),
            LimitKind::FreeInodes => enough(in_flight.inodes),
            LimitKind::AvailableMemory => enough(in_flight.memory),
            // The effect of an eviction on stalls is always unknown.
            LimitKind::MemoryStall => in_flight.count >= max_unknown,
            LimitKind::TotalSize => chosen.disk >= self.over_target,
            LimitKind::Count => chosen.count >= self.over_target,
            // The filter alone decides: every resource that is too old is evicted.
            LimitKind::Age => false,
        }
    }
}

/// The input of a decision.
#[derive(Debug)]
pub(crate) struct PolicyInput<'a> {
    pub(crate) config: &'a GcConfig,
    pub(crate) stats: &'a Stats,
    pub(crate) totals: ClassTotals,
    /// Bytes on disk that are reserved and not yet written.
    pub(crate) reserved: u64,
    pub(crate) now: MonotonicNanos,
    /// Rules whose trigger was exceeded earlier in this collection, which continues to their target.
    pub(crate) active: &'a [LimitRule],
}

/// The demands of all rules, and the rules that cannot be checked.
#[derive(Debug, Default)]
pub(crate) struct Evaluation {
    pub(crate) demands: Vec<RuleDemand>,
    pub(crate) skipped: Vec<SkippedRule>,
}

impl PolicyInput<'_> {
    pub(crate) fn evaluate(&self) -> Evaluation {
        let mut out = Evaluation::default();
        // Classes first: their evictions also count for the limits of all resources. The reverse does not hold, because
        // those may evict resources of other classes.
        for class in CostClass::ALL {
            self.evaluate_limits(Some(class), self.config.class(class), &mut out);
        }
        self.evaluate_limits(None, &self.config.limits, &mut out);
        out
    }

    /// Returns the size of the disk above its minimum of free space, or `u64::MAX` if it is unknown.
    pub(crate) fn disk_capacity(&self) -> u64 {
        let Some(disk) = self.stats.disk.known() else {
            return u64::MAX;
        };
        let minimum = enabled(self.config.limits.min_free_disk)
            .map_or(0, |threshold| threshold.minimum(disk.total).0);
        disk.total.saturating_sub(minimum)
    }

    fn evaluate_limits(&self, class: Option<CostClass>, limits: &GcLimits, out: &mut Evaluation) {
        let rule = |limit| LimitRule { class, limit };
        self.age(rule(LimitKind::Age), limits.max_age, out);
        self.count(rule(LimitKind::Count), limits.max_count, out);
        self.total_size(rule(LimitKind::TotalSize), limits.max_total_size, out);
        let (disk, memory) = (&self.stats.disk, &self.stats.memory);
        let values = |disk: &Disk| (disk.free, disk.total);
        // Reserved bytes must be free even without a minimum. They belong to no class.
        let reserved = class.map_or(self.reserved, |_| 0);
        let free_disk = rule(LimitKind::FreeDisk);
        self.minimum(free_disk, limits.min_free_disk, reserved, disk, values, out);
        let values = |disk: &Disk| match disk.inodes {
            // Some file systems allocate inodes on demand and report none.
            0 => (u64::MAX, 0),
            total => (disk.free_inodes, total),
        };
        let free_inodes = rule(LimitKind::FreeInodes);
        self.minimum(free_inodes, limits.min_free_inodes, 0, disk, values, out);
        let values = |memory: &Memory| (memory.available, memory.total);
        let available = rule(LimitKind::AvailableMemory);
        self.minimum(
            available,
            limits.min_available_memory,
            0,
            memory,
            values,
            out,
        );
        self.memory_stall(rule(LimitKind::MemoryStall), limits.max_memory_stall, out);
    }

    fn age(&self, rule: LimitRule, limit: Option<Duration>, out: &mut Evaluation) {
        let Some(age) = limit.filter(|age| !age.is_zero()) else {
            return;
        };
        out.demands.push(RuleDemand {
            rule,
            // Not a shortage: old resources that are in use violate nothing.
            over_trigger: 0,
            over_target: u64::MAX,
            last_used_before: Some(self.now.earlier(age)),
        });
    }

    fn count(&self, rule: LimitRule, limit: Option<Threshold<u64>>, out: &mut Evaluation) {
        let Some(Threshold { trigger, target }) = limit.filter(|it| it.trigger > 0) else {
            return;
        };
        let target = target.map_or(trigger, |target| target.min(trigger));
        let count = self.totals.of(rule.class).count;
        self.maximum(rule, count, (trigger, target), out);
    }

    fn total_size(&self, rule: LimitRule, limit: Option<Threshold<Amount>>, out: &mut Evaluation) {
        let Some(threshold) = enabled(limit) else {
            return;
        };
        let is_relative = matches!(threshold.trigger, Amount::Percent(_))
            || matches!(threshold.target, Some(Amount::Percent(_)));
        // An absolute size does not depend on the disk and is checked even if that cannot be read.
        let total = match self.stats.disk.known() {
            Some(disk) => disk.total,
            None if is_relative => return out.skip(rule, &self.stats.disk),
            None => 0,
        };
        let size = self.totals.of(rule.class).disk;
        self.maximum(rule, size, threshold.maximum(total), out);
    }

    /// Evaluates a minimum of the machine's statistics. `values` returns the actual amount and the total.
    fn minimum<T>(
        &self,
        rule: LimitRule,
        limit: Option<Threshold<Amount>>,
        reserved: u64,
        stat: &Stat<T>,
        values: impl FnOnce(&T) -> (u64, u64),
        out: &mut Evaluation,
    ) {
        let threshold = enabled(limit);
        if threshold.is_none() && reserved == 0 {
            return;
        }
        let Some((actual, total)) = stat.known().map(values) else {
            return out.skip(rule, stat);
        };
        // Reserved bytes shift both thresholds: they are free now, but will not be.
        let (trigger, target) = threshold.map_or((0, 0), |threshold| threshold.minimum(total));
        let trigger = trigger.saturating_add(reserved);
        let target = target.saturating_add(reserved);
        // An active rule continues to its target, although the trigger no longer holds.
        if actual < trigger || self.active.contains(&rule) && actual < target {
            out.push(rule, trigger.saturating_sub(actual), target - actual);
        }
    }

    fn maximum(
        &self,
        rule: LimitRule,
        actual: u64,
        (trigger, target): (u64, u64),
        out: &mut Evaluation,
    ) {
        if actual > trigger || self.active.contains(&rule) && actual > target {
            out.push(rule, actual.saturating_sub(trigger), actual - target);
        }
    }

    fn memory_stall(&self, rule: LimitRule, limit: Option<f64>, out: &mut Evaluation) {
        let Some(limit) = limit.filter(|limit| *limit > 0.0) else {
            return;
        };
        let Some(memory) = self.stats.memory.known() else {
            return out.skip(rule, &self.stats.memory);
        };
        let Some(stall) = memory.stall else {
            let reason = "the system does not report memory stalls".to_owned();
            return out.skipped.push(SkippedRule { rule, reason });
        };
        let excess = stall - limit;
        // The average lags by seconds, so it does not show the effect of evictions. One batch per collection:
        // a loop until the average falls would evict everything in memory.
        if excess > 0.0 && !self.active.contains(&rule) {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a positive percentage"
            )]
            let excess = excess.ceil() as u64;
            out.push(rule, excess, excess);
        }
    }
}

impl Evaluation {
    /// Returns the rules that ask for an amount, which are all except the maximum age.
    pub(crate) fn rules(&self) -> impl Iterator<Item = LimitRule> {
        let rules = self
            .demands
            .iter()
            .filter(|it| it.last_used_before.is_none());
        rules.map(|it| it.rule)
    }

    /// Returns the limits whose trigger is exceeded, without those that only miss their target.
    pub(crate) fn shortages(&self) -> Vec<ExceededLimit> {
        let exceeded = self.demands.iter().filter(|it| it.over_trigger > 0);
        exceeded
            .map(|it| ExceededLimit {
                rule: it.rule,
                missing: it.over_trigger,
            })
            .collect()
    }

    fn push(&mut self, rule: LimitRule, over_trigger: u64, over_target: u64) {
        self.demands.push(RuleDemand {
            rule,
            over_trigger,
            over_target,
            last_used_before: None,
        });
    }

    fn skip<T>(&mut self, rule: LimitRule, stat: &Stat<T>) {
        let reason = stat.reason().unwrap_or_default().to_owned();
        self.skipped.push(SkippedRule { rule, reason });
    }
}

/// Returns the threshold unless it is 0, which means no limit.
fn enabled(limit: Option<Threshold<Amount>>) -> Option<Threshold<Amount>> {
    limit.filter(|threshold| !threshold.trigger.is_zero())
}
