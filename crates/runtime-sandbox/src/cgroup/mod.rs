//! Control groups of Linux, to find, kill, limit and account for all processes of a command.
//!
//! [`CgroupParents`] finds out at start where this process may create groups, on hosts with version 2, version 1 and
//! both, and which functions the groups have. Each command then gets a [`Cgroup`] with a random name, which its process
//! joins before it runs its program. The owner of a group holds a lock on its folder. The groups of a dead worker have
//! no lock and so can be distinguished from those of live workers, even across containers.
//!
//! The functions block while they use the file system of the groups, which is in memory.

mod folder;
mod group;
mod kill;
mod limits;
mod own_groups;
mod parents;
#[cfg(test)]
mod tests;
mod usage;

pub use group::Cgroup;
pub use limits::CgroupLimitError;
pub(crate) use limits::CgroupLimits;
pub use parents::{AbandonedCgroups, CgroupParents, CgroupSupport, CreateCgroupError};
pub use usage::{CgroupUsage, Pressure};
