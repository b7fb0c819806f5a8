//! LRU buckets: idle resources grouped by class and by the kinds of space that they occupy.
//!
//! A filter accepts or rejects a whole bucket. The search for the oldest matching resource therefore examines
//! only the head of each bucket (at most 3 classes x 3 disk kinds x 3 memory kinds). In a single LRU list, it
//! would have to skip all resources that do not match, such as a million files when memory is low.

use std::collections::{BTreeMap, BTreeSet};

use crate::cost_class::CostClass;
use crate::footprint::{Footprint, Size};
use crate::monotonic_nanos::MonotonicNanos;

/// The properties that resources of a bucket share: all criteria of an [`EvictionFilter`] except the age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct BucketKey {
    pub(crate) class: CostClass,
    disk: SizeKind,
    memory: SizeKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum SizeKind {
    None,
    Unknown,
    Known,
}

/// Selects the resources whose eviction helps to meet a limit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EvictionFilter {
    /// Only this class.
    pub(crate) class: Option<CostClass>,
    /// Only resources that occupy this kind of space.
    pub(crate) frees: FreedSpace,
    /// Only resources last used before this time.
    pub(crate) last_used_before: Option<MonotonicNanos>,
}

/// The space that an eviction must free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FreedSpace {
    Anything,
    Disk,
    /// Disk space of known size.
    KnownDisk,
    Memory,
}

/// The position of a resource in its bucket: time of last use, then slot.
pub(crate) type Position = (MonotonicNanos, usize);

/// Idle resources, oldest first in each bucket.
#[derive(Debug, Default)]
pub(crate) struct LruBuckets(BTreeMap<BucketKey, BTreeSet<Position>>);

impl BucketKey {
    pub(crate) fn new(class: CostClass, footprint: &Footprint) -> Self {
        let kind = |size| match size {
            Size::None => SizeKind::None,
            Size::Unknown => SizeKind::Unknown,
            Size::Known(_) => SizeKind::Known,
        };
        Self {
            class,
            disk: kind(footprint.disk),
            memory: kind(footprint.memory),
        }
    }
}

impl EvictionFilter {
    /// Returns whether a resource of this bucket, last used at this time, is selected.
    pub(crate) fn matches(&self, key: &BucketKey, last_used: MonotonicNanos) -> bool {
        let frees = match self.frees {
            FreedSpace::Anything => true,
            FreedSpace::Disk => key.disk != SizeKind::None,
            FreedSpace::KnownDisk => key.disk == SizeKind::Known,
            FreedSpace::Memory => key.memory != SizeKind::None,
        };
        frees
            && self.class.is_none_or(|class| class == key.class)
            && self
                .last_used_before
                .is_none_or(|before| last_used < before)
    }
}

impl LruBuckets {
    pub(crate) fn insert(&mut self, key: BucketKey, position: Position) {
        // An ordered set and not a linked list: positions are corrected in arbitrary order.
        self.0.entry(key).or_default().insert(position);
    }

    pub(crate) fn remove(&mut self, key: BucketKey, position: Position) {
        if let Some(bucket) = self.0.get_mut(&key) {
            // An empty bucket stays: there are at most nine per class.
            bucket.remove(&position);
        }
    }

    /// Returns the least recently used matching resource of the cheapest class that has one.
    ///
    /// Class precedes age: recreating a cheap resource costs less than recreating an expensive one, even if
    /// the cheap one is more likely to be used again.
    pub(crate) fn next_victim(&self, filter: &EvictionFilter) -> Option<(BucketKey, Position)> {
        CostClass::ALL
            .into_iter()
            .find_map(|class| self.next_victim_of(class, filter))
    }

    fn next_victim_of(
        &self,
        class: CostClass,
        filter: &EvictionFilter,
    ) -> Option<(BucketKey, Position)> {
        self.0
            .iter()
            .filter(|(key, _)| key.class == class)
            .filter_map(|(key, bucket)| Some((*key, *bucket.first()?)))
            .filter(|(key, (last_used, _))| filter.matches(key, *last_used))
            .min_by_key(|(_, position)| *position)
    }
}
