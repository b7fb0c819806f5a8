//! Sums that are kept up to date, so that no decision has to add anything up.

use crate::{CostClass, Footprint, Size};

/// How many resources there are, and how much of the disk they are known to take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) count: u64,
    pub(crate) disk: u64,
}

/// The totals of each class. What is being disposed of is not in them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ClassTotals([Totals; CostClass::ALL.len()]);

impl ClassTotals {
    pub(crate) fn of(&self, class: Option<CostClass>) -> Totals {
        match class {
            Some(class) => self.0[class.index()],
            None => self.0.iter().fold(Totals::default(), |sum, class| Totals {
                count: sum.count + class.count,
                disk: sum.disk + class.disk,
            }),
        }
    }

    pub(crate) fn add(&mut self, class: CostClass, footprint: &Footprint) {
        let totals = &mut self.0[class.index()];
        totals.count += 1;
        totals.disk += footprint.disk.known();
    }

    pub(crate) fn subtract(&mut self, class: CostClass, footprint: &Footprint) {
        let totals = &mut self.0[class.index()];
        totals.count -= 1;
        totals.disk -= footprint.disk.known();
    }
}

/// What will be free once the disposals that were begun are done.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Gain {
    pub(crate) count: u64,
    pub(crate) disk: Gained,
    pub(crate) inodes: Gained,
    pub(crate) memory: Gained,
}

/// How much of one thing is known to be coming, and how many give an amount that is not known.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Gained {
    pub(crate) known: u64,
    pub(crate) unknown: u64,
}

impl Gain {
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

impl Gained {
    fn add(&mut self, size: Size) {
        self.known += size.known();
        self.unknown += u64::from(size == Size::Unknown);
    }

    fn subtract(&mut self, size: Size) {
        self.known -= size.known();
        self.unknown -= u64::from(size == Size::Unknown);
    }
}
