//! Control groups of Linux, to find, kill, limit and account for all processes of a command.
//!
//! [`CgroupParents`] finds out at start where this process may create groups, on hosts with version 2, version 1 and
//! both, and what groups can do there. Each command then gets a [`Cgroup`] with a random name, which its process joins
//! before it runs its program. The owner of a group holds a lock on its folder, so that the groups of a dead worker can
//! be told from those of live ones, across containers.
//!
//! The functions block for as long as the file system of the groups does, which is in memory.

mod folder;
mod group;
mod hosts;
mod kill;
mod limits;
mod parents;
#[cfg(test)]
mod tests;
mod usage;

pub use group::Cgroup;
pub use limits::CgroupLimitError;
pub(crate) use limits::CgroupLimits;
pub use parents::{AbandonedCgroups, CgroupParents, CgroupSupport, CreateCgroupError};
pub use usage::{CgroupUsage, Pressure};
