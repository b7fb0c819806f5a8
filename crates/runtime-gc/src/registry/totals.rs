//! Running sums of footprints, so that no decision iterates over all resources.

use crate::cost_class::CostClass;
use crate::footprint::{Footprint, Size};

/// The number of resources and their known disk space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) count: u64,
    pub(crate) disk: u64,
}

/// The totals of each class, without disposals in progress.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ClassTotals([Totals; CostClass::ALL.len()]);

impl ClassTotals {
    /// Returns the totals of a class, or of all classes together.
    pub(crate) fn of(&self, class: Option<CostClass>) -> Totals {
        match class {
            Some(class) => self.0[class.index()],
            None => self.0.iter().fold(Totals::default(), |sum, class| Totals {
                count: sum.count + class.count,
                disk: sum.disk.saturating_add(class.disk),
            }),
        }
    }

    pub(crate) fn add(&mut self, class: CostClass, footprint: &Footprint) {
        let totals = &mut self.0[class.index()];
        totals.count += 1;
        // Saturating, here and below: the sizes come from foreign code, and a panic would poison no lock, but lose the
        // resource.
        totals.disk = totals.disk.saturating_add(footprint.disk.known());
    }

    pub(crate) fn subtract(&mut self, class: CostClass, footprint: &Footprint) {
        let totals = &mut self.0[class.index()];
        totals.count -= 1;
        totals.disk = totals.disk.saturating_sub(footprint.disk.known());
    }
}

/// A sum of footprints.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FootprintSum {
    pub(crate) count: u64,
    pub(crate) disk: SizeSum,
    pub(crate) inodes: SizeSum,
    pub(crate) memory: SizeSum,
}

/// A sum of sizes: the total of the known ones and the number of unknown ones.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SizeSum {
    pub(crate) known: u64,
    pub(crate) unknown: u64,
}

impl FootprintSum {
    pub(crate) fn add(&mut self, footprint: &Footprint) {
        self.count += 1;
        self.disk.add(footprint.disk);
        self.inodes.add(footprint.inodes);
        self.memory.add(footprint.memory);
    }

    pub(crate) fn subtract(&mut self, footprint: &Footprint) {
        self.count -= 1;
        self.disk.subtract(footprint.disk);
        self.inodes.subtract(footprint.inodes);
        self.memory.subtract(footprint.memory);
    }
}

impl SizeSum {
    fn add(&mut self, size: Size) {
        self.known = self.known.saturating_add(size.known());
        self.unknown += u64::from(size == Size::Unknown);
    }

    fn subtract(&mut self, size: Size) {
        self.known = self.known.saturating_sub(size.known());
        self.unknown -= u64::from(size == Size::Unknown);
    }
}
