//! The start of a command in its control group, and the search for places where groups can be created.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use crate::cgroup::{Cgroup, CgroupParents, CreateCgroupError};
use crate::command::SandboxCommand;
use crate::error::SpawnError;
use crate::isolation::Isolation;
use crate::start::{Started, decode_failure, join_files, start_in_groups};

/// Creates the control group of a command, if it needs one, and starts the init program in it. Blocks.
///
/// `isolation` is that of the command, or a part of it.
pub(crate) fn start(command: &SandboxCommand, isolation: Isolation) -> Result<Started, SpawnError> {
    let cgroup = create_cgroup(command)?.map(Arc::new);
    let joined = command.joined_cgroup.as_ref().or(cgroup.as_ref());
    let groups = join_files(joined.map(AsRef::as_ref))?;
    let mut started = start_in_groups(command, isolation, &groups)?;
    started.cgroup = cgroup;
    Ok(started)
}

fn create_cgroup(command: &SandboxCommand) -> Result<Option<Cgroup>, CreateCgroupError> {
    if command.joined_cgroup.is_some() {
        return Ok(None);
    }
    let needs_own = command.limits.group.is_set();
    let parents = command.cgroup_parents.clone();
    let parents = parents.or_else(|| needs_own.then(own_parents));
    parents.map(|it| it.create(&command.limits)).transpose()
}

/// Returns the groups of this process, which the first call finds.
fn own_parents() -> Arc<CgroupParents> {
    static OWN: OnceLock<Arc<CgroupParents>> = OnceLock::new();
    Arc::clone(OWN.get_or_init(|| Arc::new(CgroupParents::below_own())))
}

impl CgroupParents {
    /// Finds the groups of this process: with version 2, version 1 and both.
    ///
    /// Creates a group in each hierarchy, and lets a process join it that ends at once.
    #[must_use]
    pub fn below_own() -> Self {
        Self::find_own(try_join)
    }

    /// Uses `parent`, and the groups at the same path in other hierarchies. It must be delegated to this user.
    #[must_use]
    pub fn below(parent: &Path) -> Self {
        Self::find_below(parent, try_join)
    }
}

/// Lets a process join a control group by its file of members, and waits for the end of the process.
fn try_join(members: File) -> io::Result<()> {
    let mut command = SandboxCommand::new("");
    command.is_probe = true;
    let started = start_in_groups(&command, Isolation::none(), &[members]);
    let started = started.map_err(io::Error::other)?;
    let mut failure = Vec::new();
    File::from(started.failure).read_to_end(&mut failure)?;
    started.process.wait_and_reap()?;
    match decode_failure(&failure) {
        Some((_, error)) => Err(error),
        None => Ok(()),
    }
}
