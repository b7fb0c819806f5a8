//! All registered resources in the order of eviction, with running totals.

mod entry;
mod lru;
mod select;
mod table;
mod totals;

pub(crate) use entry::{Entry, EntryState};
pub(crate) use lru::{BucketKey, EvictionFilter, FreedSpace};
pub(crate) use select::Selection;
pub(crate) use table::Registry;
pub(crate) use totals::{ClassTotals, FootprintSum, SizeSum, Totals};
