//! What would go, in which order, and why.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::amount::Bytes;
use crate::demand::{Demands, Situation};
use crate::moment::Moment;
use crate::registry::{ClassTotals, Entry, Gain, Place, ShelfKey};
use crate::shared::Shared;
use crate::{
    CostClass, Disposable, EvictionReason, Footprint, Shortage, Size, Skipped, SystemStats,
};

/// The state of a collector: what a collection would do, and why.
///
/// Its text is meant for people; `docs/guide/caches.md` shows one.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CollectionPlan {
    /// The limits that are passed now.
    pub shortages: Vec<Shortage>,
    /// The limits that cannot be judged.
    pub skipped: Vec<Skipped>,
    /// All resources: what is idle first, in the order in which it would go.
    pub resources: Vec<PlannedResource>,
}

/// One resource in an [`CollectionPlan`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PlannedResource {
    /// Its name.
    pub name: String,
    /// Its class.
    pub class: CostClass,
    /// What it takes.
    pub footprint: Footprint,
    /// What would become of it.
    pub action: PlannedAction,
}

/// What a collection would do with a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PlannedAction {
    /// It would go now.
    Evict(EvictionReason),
    /// It is idle for so long, and nothing needs it to go.
    Keep(Duration),
    /// So many use it.
    InUse(u64),
    /// Something outside of this process used it when it was to go; it is looked at again later.
    InUseElsewhere,
    /// It is on its way out.
    Disposing,
    /// It failed so often to go, and is tried again.
    Quarantined(u32),
}

pub(crate) fn explain(shared: &Shared, pressure: &dyn SystemStats) -> CollectionPlan {
    let readings = pressure.read();
    let (coming, totals) = {
        let registry = shared.registry();
        (registry.in_flight, registry.totals)
    };
    let situation = Situation {
        config: &shared.config,
        readings: &readings,
        totals,
        reserved: shared.reserved(),
        now: Moment::now(),
        active: &[],
    };
    let demands = situation.demands();
    let mut seen = look(shared);
    seen.sort_unstable_by_key(|it| (it.action.rank(), it.key.class, it.last_used, it.slot));
    foresee(
        &mut seen,
        &demands,
        coming,
        shared.config.max_parallel_disposals,
    );
    CollectionPlan {
        shortages: demands.shortages(),
        skipped: demands.skipped,
        resources: seen.into_iter().map(Seen::explained).collect(),
    }
}

/// What was copied of an entry under the lock.
struct Seen {
    disposable: Arc<dyn Disposable>,
    footprint: Footprint,
    key: ShelfKey,
    last_used: Moment,
    slot: usize,
    action: PlannedAction,
}

fn look(shared: &Shared) -> Vec<Seen> {
    let (mut seen, now) = (Vec::new(), Moment::now());
    shared.look(|entry| seen.push(Seen::new(entry, now)));
    seen
}

/// Marks what would go, as a collection would choose it.
fn foresee(seen: &mut [Seen], demands: &Demands, mut coming: Gain, parallel: usize) {
    let mut chosen = ClassTotals::default();
    for demand in &demands.demands {
        let want = demand.want();
        for it in seen.iter_mut() {
            let of_class = chosen.of(demand.rule.class);
            if demand.is_met(&coming, of_class, parallel.max(1) as u64) {
                break;
            }
            if matches!(it.action, PlannedAction::Keep(_)) && want.fits(&it.key, it.last_used) {
                it.action = PlannedAction::Evict(EvictionReason::Rule(demand.rule));
                coming.add(&it.footprint);
                chosen.add(it.key.class, &it.footprint);
            }
        }
    }
}

impl Seen {
    fn new(entry: &Entry, now: Moment) -> Self {
        let last_used = entry.resource.last_used();
        let action = match (entry.place, entry.resource.users()) {
            (Place::Elsewhere(until), 0) if until > Instant::now() => PlannedAction::InUseElsewhere,
            (Place::Elsewhere(_), 0) if entry.resource.is_retired() => {
                PlannedAction::Evict(EvictionReason::Discarded)
            }
            (Place::Quarantined(_), _) => PlannedAction::Quarantined(entry.failures),
            (Place::Disposing | Place::Overdue, _) => PlannedAction::Disposing,
            (Place::Discarded, _) => PlannedAction::Evict(EvictionReason::Discarded),
            (_, 0) => PlannedAction::Keep(now.since(last_used)),
            (_, users) => PlannedAction::InUse(users),
        };
        Self {
            disposable: Arc::clone(&entry.disposable),
            footprint: entry.footprint,
            key: entry.shelf(),
            last_used,
            slot: entry.id.slot,
            action,
        }
    }

    fn explained(self) -> PlannedResource {
        PlannedResource {
            name: self.disposable.name().into_owned(),
            class: self.key.class,
            footprint: self.footprint,
            action: self.action,
        }
    }
}

impl PlannedAction {
    /// The order of the groups in an explanation.
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
            Self::Quarantined(failures) => write!(f, "quarantined: {failures} failed disposals"),
        }
    }
}

impl fmt::Display for CollectionPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.shortages.is_empty() {
            writeln!(f, "All limits that can be judged are kept.")?;
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
        let disk = Column(self.footprint.disk).to_string();
        let memory = Column(self.footprint.memory).to_string();
        let (class, action, name) = (self.class, self.action, &self.name);
        write!(
            f,
            "{class:9}  disk {disk:>9}  memory {memory:>9}  {name:32}  {action}"
        )
    }
}

/// A size in a table.
struct Column(Size);

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Size::None => f.write_str("-"),
            Size::Unknown => f.write_str("?"),
            Size::Known(bytes) => Bytes(bytes).fmt(f),
        }
    }
}
