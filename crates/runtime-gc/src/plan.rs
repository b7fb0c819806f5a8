//! The plan of a collection: which resources would be evicted, in which order, and why.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use crate::cost_class::CostClass;
use crate::footprint::{Footprint, Size};
use crate::monotonic_nanos::MonotonicNanos;
use crate::policy::Evaluation;
use crate::registry::{BucketKey, ClassTotals, Entry, EntryState, FootprintSum};
use crate::report::{ExceededLimit, SkippedRule};
use crate::rule::EvictionReason;
use crate::shared::{SharedRegistry, SystemState};
use crate::units::ByteSize;

/// The actions that a collection would take now, and the reasons.
///
/// Its `Display` form is a table for people, as shown in `docs/guide/caches.md`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CollectionPlan {
    /// The limits that are exceeded.
    pub shortages: Vec<ExceededLimit>,
    /// The limits that cannot be checked.
    pub skipped: Vec<SkippedRule>,
    /// All resources, with evictions first in the order of eviction.
    pub resources: Vec<PlannedResource>,
}

/// One resource in a [`CollectionPlan`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PlannedResource {
    /// The name of the resource.
    pub name: String,
    /// The cost class of the resource.
    pub class: CostClass,
    /// The space that the resource occupies.
    pub footprint: Footprint,
    /// The action that a collection would take.
    pub action: PlannedAction,
}

/// The action that a collection would take on a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PlannedAction {
    /// Evict it.
    Evict(EvictionReason),
    /// Keep it. The resource has been idle for this duration.
    Keep(Duration),
    /// None: the resource has this number of users.
    InUse(u64),
    /// None before the next check: an earlier disposal found the resource in use outside this process.
    InUseElsewhere,
    /// None: the resource is being disposed of.
    Disposing,
    /// None before the retry: the disposal of the resource has failed this number of times.
    Quarantined(u32),
}

/// A copy of an entry, made under the registry's lock.
struct EntrySnapshot {
    entry: Entry,
    key: BucketKey,
    last_used: MonotonicNanos,
    action: PlannedAction,
}

impl CollectionPlan {
    /// Creates a plan in time proportional to the number of resources, without blocking others for long.
    pub(crate) fn new(shared: &SharedRegistry, state: &SystemState) -> Self {
        // Separate acquisitions of the lock: a plan need not be consistent with concurrent collections.
        let evaluation = shared.policy_input(state, &[]).evaluate();
        let mut entries = Vec::new();
        let now = MonotonicNanos::now();
        shared.for_each(|entry| entries.push(EntrySnapshot::new(entry, now)));
        entries.sort_unstable_by_key(|it| {
            let Entry { class, id, .. } = it.entry;
            (it.action.rank(), class, it.last_used, id.slot)
        });
        let max_unknown = shared.config.max_parallel_disposals.max(1) as u64;
        simulate(&mut entries, &evaluation, state.in_flight, max_unknown);
        Self {
            shortages: evaluation.shortages(),
            skipped: evaluation.skipped,
            // Names are read last, since they are foreign code and must not run under the lock.
            resources: entries.into_iter().map(PlannedResource::from).collect(),
        }
    }
}

/// Marks the entries that a collection would evict, in the order that the registry selects them.
fn simulate(
    entries: &mut [EntrySnapshot],
    evaluation: &Evaluation,
    mut in_flight: FootprintSum,
    max_unknown: u64,
) {
    let mut chosen = ClassTotals::default();
    for demand in &evaluation.demands {
        let filter = demand.filter();
        for it in entries.iter_mut() {
            let of_class = chosen.of(demand.rule.class);
            // The same condition as in a decision. Differences can only be due to unknown sizes.
            if demand.is_met(&in_flight, of_class, max_unknown) {
                break;
            }
            if matches!(it.action, PlannedAction::Keep(_)) && filter.matches(&it.key, it.last_used)
            {
                it.action = PlannedAction::Evict(EvictionReason::Rule(demand.rule));
                in_flight.add(&it.entry.footprint);
                chosen.add(it.entry.class, &it.entry.footprint);
            }
        }
    }
}

impl EntrySnapshot {
    fn new(entry: &Entry, now: MonotonicNanos) -> Self {
        let last_used = entry.resource().last_used();
        Self {
            key: BucketKey::new(entry.class, &entry.footprint),
            last_used,
            entry: entry.clone(),
            action: action(entry, now.duration_since(last_used)),
        }
    }
}

/// Returns the action on an entry before the limits are considered.
fn action(entry: &Entry, idle: Duration) -> PlannedAction {
    match (entry.state, entry.resource().users()) {
        (EntryState::InUseElsewhere(until), 0) if until > Instant::now() => {
            PlannedAction::InUseElsewhere
        }
        (EntryState::InUseElsewhere(_), 0) if entry.resource().is_retired() => {
            PlannedAction::Evict(EvictionReason::Discarded)
        }
        (EntryState::Quarantined(_), _) => PlannedAction::Quarantined(entry.failures),
        (EntryState::Disposing | EntryState::Overdue, _) => PlannedAction::Disposing,
        (EntryState::Discarded, _) => PlannedAction::Evict(EvictionReason::Discarded),
        (_, 0) => PlannedAction::Keep(idle),
        (_, users) => PlannedAction::InUse(users),
    }
}

impl From<EntrySnapshot> for PlannedResource {
    fn from(EntrySnapshot { entry, action, .. }: EntrySnapshot) -> Self {
        Self {
            name: entry.disposable.name().into_owned(),
            class: entry.class,
            footprint: entry.footprint,
            action,
        }
    }
}

impl PlannedAction {
    /// Returns the position of the action's group in a plan.
    fn rank(self) -> u8 {
        match self {
            Self::Evict(_) => 0,
            Self::Keep(_) => 1,
            Self::InUse(_) => 2,
            Self::InUseElsewhere => 3,
            Self::Disposing => 4,
            Self::Quarantined(_) => 5,
        }
    }
}

impl fmt::Display for PlannedAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Evict(reason) => write!(f, "evict: {reason}"),
            Self::Keep(idle) => write!(f, "keep: idle for {} s", idle.as_secs()),
            Self::InUse(users) => write!(f, "in use by {users}"),
            Self::InUseElsewhere => f.write_str("in use outside of this process"),
            Self::Disposing => f.write_str("disposing"),
            Self::Quarantined(1) => f.write_str("quarantined: 1 failed disposal"),
            Self::Quarantined(failures) => write!(f, "quarantined: {failures} failed disposals"),
        }
    }
}

impl fmt::Display for CollectionPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.shortages.is_empty() {
            writeln!(f, "no limit is exceeded")?;
        }
        self.shortages
            .iter()
            .try_for_each(|it| writeln!(f, "{it}"))?;
        self.skipped.iter().try_for_each(|it| writeln!(f, "{it}"))?;
        self.resources.iter().try_for_each(|it| writeln!(f, "{it}"))
    }
}

impl fmt::Display for PlannedResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let disk = SizeColumn(self.footprint.disk).to_string();
        let memory = SizeColumn(self.footprint.memory).to_string();
        let (class, action, name) = (self.class, self.action, &self.name);
        write!(
            f,
            "{class:9}  disk {disk:>9}  memory {memory:>9}  {name:32}  {action}"
        )
    }
}

/// A size in a table.
struct SizeColumn(Size);

impl fmt::Display for SizeColumn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Size::None => f.write_str("-"),
            Size::Unknown => f.write_str("?"),
            Size::Known(bytes) => ByteSize(bytes).fmt(f),
        }
    }
}
