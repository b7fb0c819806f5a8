//! The state that all tasks of an engine share.

use std::io;

use runtime_core::TemporaryStorage;
#[cfg(unix)]
use {
    crate::cgroup::{Cgroup, CgroupLimits, CgroupParents, CreateCgroupError},
    crate::child_process::{UnreapedChildren, try_in_child},
    crate::orphans::OrphanScanner,
    crate::settings::CgroupPlacement,
    parking_lot::Mutex,
    std::fs::File,
    std::sync::Arc,
};

use crate::settings::EngineSettings;

/// The state that all tasks of an engine share.
#[derive(Debug)]
pub(crate) struct EngineState {
    pub(crate) settings: EngineSettings,
    #[cfg(unix)]
    pub(crate) children: Arc<Mutex<UnreapedChildren>>,
    #[cfg(unix)]
    pub(crate) orphans: OrphanScanner,
    #[cfg(unix)]
    cgroups: CgroupParents,
}

#[cfg(unix)]
impl EngineState {
    /// Prepares this process and machine for the first task. Blocks while it scans all processes.
    ///
    /// Becomes the subreaper of orphans if the settings request it, and kills processes that crashed workers left
    /// running on `storage` or in control groups: they would compete with new tasks.
    pub(crate) fn prepare(
        settings: EngineSettings,
        storage: &TemporaryStorage,
    ) -> io::Result<Self> {
        #[cfg(target_os = "linux")]
        if settings.adopts_orphans {
            // The kernel reads the argument as a boolean: any pid turns the attribute on.
            rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
        }
        let orphans = OrphanScanner::default();
        // Also the scanner's first scan, which must precede the first task.
        orphans.kill_leftovers_of_dead_workers(storage);
        let cgroups = find_cgroups(&settings.cgroups);
        cgroups.remove_abandoned();
        Ok(Self {
            settings,
            children: Arc::default(),
            orphans,
            cgroups,
        })
    }

    /// Creates a control group for a command. It has no effect if none can be created on this machine.
    pub(crate) fn create_cgroup(&self) -> Result<Cgroup, CreateCgroupError> {
        self.cgroups.create(&CgroupLimits::default())
    }
}

#[cfg(unix)]
fn find_cgroups(placement: &CgroupPlacement) -> CgroupParents {
    let try_join = |procs: &File| try_in_child(|| Ok(rustix::io::write(procs, b"0").map(drop)?));
    match placement {
        CgroupPlacement::Disabled => CgroupParents::none(),
        CgroupPlacement::BelowOwn => CgroupParents::below_own(try_join),
        CgroupPlacement::Below(parent) => CgroupParents::below(parent, try_join),
    }
}

#[cfg(not(unix))]
impl EngineState {
    /// Creates the context. Other systems need no preparation.
    pub(crate) fn prepare(settings: EngineSettings, _: &TemporaryStorage) -> io::Result<Self> {
        Ok(Self { settings })
    }
}
