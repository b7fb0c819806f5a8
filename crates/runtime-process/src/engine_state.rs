//! The state that all tasks of an engine share.

use std::io;

use runtime_core::TemporaryStorage;
#[cfg(unix)]
use {
    crate::cgroup::{Cgroup, own_cgroup},
    crate::child_process::UnreapedChildren,
    crate::orphans::OrphanScanner,
    crate::settings::CgroupPlacement,
    parking_lot::Mutex,
    std::fs::File,
    std::path::PathBuf,
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
        let engine = Self {
            settings,
            children: Arc::default(),
            orphans,
        };
        if let Some(parent) = engine.cgroup_parent() {
            // Fails if the parent is not delegated to this user. Then there are no groups of workers either.
            let _ = Cgroup::remove_abandoned(&parent);
        }
        Ok(engine)
    }

    /// Creates a control group for a command, and opens the file through which a process joins it.
    ///
    /// Returns `None` if control groups are disabled or this user may not create one. Process groups and markers
    /// then have to suffice.
    pub(crate) fn create_cgroup(&self) -> Option<(Cgroup, File)> {
        Cgroup::create(&self.cgroup_parent()?).ok()
    }

    fn cgroup_parent(&self) -> Option<PathBuf> {
        match &self.settings.cgroups {
            CgroupPlacement::Disabled => None,
            CgroupPlacement::BelowOwn => own_cgroup(),
            CgroupPlacement::Below(parent) => Some(parent.clone()),
        }
    }
}

#[cfg(not(unix))]
impl EngineState {
    /// Creates the context. Other systems need no preparation.
    pub(crate) fn prepare(settings: EngineSettings, _: &TemporaryStorage) -> io::Result<Self> {
        Ok(Self { settings })
    }
}
