//! The user of a sandbox, and how its walls are raised.

use rustix::process::geteuid;
use rustix::thread::{CapabilitySet, capabilities};

use crate::command::SandboxCommand;
use crate::error::SpawnError;
use crate::isolation::{Isolation, Wall};
use crate::uids::UserLease;
use crate::walls::namespaces;

/// The walls of a sandbox, to start another command behind them.
#[derive(Clone, Debug)]
pub(crate) struct RaisedWalls {
    pub(crate) isolation: Isolation,
    pub(crate) user_mode: UserMode,
}

/// How a sandbox gets its user on this machine, and the rights to raise its walls.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UserMode {
    /// In a user namespace, since the worker itself has no rights.
    pub(crate) user_namespace: bool,
    /// The user and group that the process becomes.
    pub(crate) change_to: Option<(u32, u32)>,
}

impl UserMode {
    pub(crate) fn new(
        command: &SandboxCommand,
        isolation: &Isolation,
        lease: Option<&UserLease>,
    ) -> Self {
        let privileged = is_privileged();
        let namespaces = namespaces::flags(isolation) != 0;
        let change_to = lease.map(|it| (it.id(), it.id())).or(command.user);
        Self {
            user_namespace: !privileged && (namespaces || isolation.has(Wall::User)),
            change_to: change_to.filter(|_| privileged && isolation.has(Wall::User)),
        }
    }
}

impl Isolation {
    /// Leases a free user id of the range for several commands, such as those of a task. Pass the id to
    /// [`SandboxCommand::user`](crate::SandboxCommand::user), and change the owner of the commands' folders to it.
    ///
    /// Returns `None` if the commands run as the worker's user: without the wall [`User`](Wall::User), or if the worker
    /// is not root.
    ///
    /// # Errors
    ///
    /// [`SpawnError::NoFreeUser`] if all ids of the range are in use.
    pub fn lease_user(&self) -> Result<Option<UserLease>, SpawnError> {
        let needs_lease = self.has(Wall::User) && is_privileged();
        let lease = needs_lease.then(|| UserLease::take(&self.users));
        lease.transpose()
    }
}

/// Returns whether the worker can raise walls without a user namespace.
pub(crate) fn is_privileged() -> bool {
    let needed = CapabilitySet::SYS_ADMIN
        | CapabilitySet::SETUID
        | CapabilitySet::SETGID
        | CapabilitySet::SETPCAP
        | CapabilitySet::MKNOD
        | CapabilitySet::NET_ADMIN
        | CapabilitySet::SYS_CHROOT;
    let is_root = geteuid().is_root();
    is_root && capabilities(None).is_ok_and(|sets| sets.effective.contains(needed))
}
