//! Finds a series again without hashing its name.

use std::array;
use std::cell::RefCell;
use std::sync::Arc;

use runtime_core::monitor::MonitorTags;

use super::labels::Labels;

/// A power of two, and more than the names that one thread uses often.
const SLOTS: usize = 256;

/// The series that a thread used last, found by the addresses of prefix and name.
///
/// A monitor has no handle of a counter to keep, so this is where it is kept. Every thread has a cache
/// of its own, so nothing is locked. Addresses identify strings, since each slot keeps its own alive.
pub(super) struct Cache<T>(Box<[Option<Slot<T>>; SLOTS]>);

struct Slot<T> {
    /// Which [`Metrics`](super::Metrics) the series is of.
    owner: u64,
    name: &'static str,
    /// Keeps the prefix, so that its address is not used for another.
    scope: MonitorTags,
    labels: Labels,
    series: Arc<T>,
}

impl<T> Slot<T> {
    fn is_of(
        &self,
        owner: u64,
        labels: &[String],
        scope: &MonitorTags,
        name: &'static str,
    ) -> bool {
        self.owner == owner
            && std::ptr::eq(self.name, name)
            && std::ptr::eq(self.scope.prefix(), scope.prefix())
            && self.labels.are_of(labels, scope)
    }
}

impl<T> Cache<T> {
    pub(super) fn new() -> RefCell<Self> {
        RefCell::new(Self(Box::new(array::from_fn(|_| None))))
    }

    /// Calls `then` with the series, which `find` looks up if it is not here.
    pub(super) fn with(
        &mut self,
        owner: u64,
        labels: &[String],
        (scope, name): (&MonitorTags, &'static str),
        find: impl FnOnce() -> (Labels, Arc<T>),
        then: impl FnOnce(&T),
    ) {
        let slot = &mut self.0[index(owner, scope, name)];
        match slot {
            Some(slot) if slot.is_of(owner, labels, scope, name) => then(&slot.series),
            _ => {
                let (labels, series) = find();
                then(&series);
                *slot = Some(Slot {
                    owner,
                    name,
                    scope: scope.clone(),
                    labels,
                    series,
                });
            }
        }
    }
}

/// Mixes the addresses by a multiplication; the upper bits of the product depend on all of them.
fn index(owner: u64, scope: &MonitorTags, name: &'static str) -> usize {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let address = |text: &str| text.as_ptr().addr() as u64;
    let mixed = (address(scope.prefix()).rotate_left(32) ^ address(name) ^ owner).wrapping_mul(ODD);
    (mixed >> (u64::BITS - SLOTS.ilog2())) as usize
}
