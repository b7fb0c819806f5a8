//! A registered resource and its state.

use std::sync::Arc;

use tokio::time::Instant;

use crate::cost_class::CostClass;
use crate::disposable::Disposable;
use crate::footprint::Footprint;
use crate::monotonic_nanos::MonotonicNanos;
use crate::resource::{DisposableResource, ResourceId};

#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) id: ResourceId,
    pub(crate) disposable: Arc<dyn Disposable>,
    pub(crate) class: CostClass,
    pub(crate) footprint: Footprint,
    pub(crate) state: EntryState,
    /// The number of failed disposals.
    pub(crate) failures: u32,
}

impl Entry {
    /// Returns the use count. The only foreign code that runs under the registry's lock: a copy of the count's address in
    /// each entry would need an allocation for it, which each use of the resource would have to follow.
    pub(crate) fn resource(&self) -> &DisposableResource {
        self.disposable.resource()
    }
}

/// The state of an entry, which determines the collections of the registry that contain it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EntryState {
    /// In an LRU bucket, under the time of last use known to the registry.
    Idle(MonotonicNanos),
    /// Found in use; becomes idle when the last user releases it.
    InUse,
    /// To be disposed of regardless of limits.
    Discarded,
    /// Claimed by a disposal whose result the collector waits for.
    Disposing,
    /// Claimed by a disposal that exceeded the soft timeout.
    Overdue,
    /// The disposal failed; retried at this time.
    Quarantined(Instant),
    /// In use outside this process; eligible again at this time.
    InUseElsewhere(Instant),
}

impl EntryState {
    /// Returns whether the resource is part of the totals.
    ///
    /// A disposal in progress is expected to succeed, so its space counts as free. An overdue one may hang
    /// forever: its space counts as occupied again, and other resources are evicted instead.
    pub(crate) fn is_in_totals(self) -> bool {
        self != Self::Disposing
    }
}
