//! The state that all tasks of an engine share.

use std::io;

use runtime_core::Environment;
#[cfg(unix)]
use {
    crate::cgroup::{Cgroup, CgroupParents, CreateCgroupError, Limits},
    crate::child_process::AbandonedChildren,
    crate::containment,
    crate::marks::MarkOwner,
    crate::orphan_reaper::OrphanReaper,
    crate::orphans::OrphanScanner,
    crate::usage::UsageSampler,
    runtime_core::Monitor,
    std::sync::Arc,
};

use crate::settings::EngineSettings;
use crate::walls::Walls;

/// The state that all tasks of an engine share.
#[derive(Debug)]
pub(crate) struct EngineState {
    pub(crate) settings: EngineSettings,
    /// `None` if tasks run without walls.
    pub(crate) walls: Option<Walls>,
    #[cfg(unix)]
    pub(crate) abandoned: Arc<AbandonedChildren>,
    #[cfg(unix)]
    pub(crate) orphans: Arc<OrphanScanner>,
    #[cfg(unix)]
    pub(crate) sampler: UsageSampler,
    #[cfg(unix)]
    _reaper: Option<OrphanReaper>,
    #[cfg(unix)]
    pub(crate) cgroups: Arc<CgroupParents>,
    #[cfg(unix)]
    pub(crate) monitor: Monitor,
}

#[cfg(unix)]
impl EngineState {
    /// Prepares this process and machine for the first task. Blocks while it scans all processes.
    ///
    /// Kills processes that crashed workers left running on the same storage or in control groups: they would compete
    /// with new tasks. Reports what the engine can and cannot contain.
    pub(crate) fn prepare(
        settings: EngineSettings,
        walls: Option<Walls>,
        environment: &Environment,
    ) -> io::Result<Self> {
        let (storage, monitor) = (environment.storage.path(), &environment.monitor);
        let owner = MarkOwner::of(storage)?;
        let cgroups = containment::find_cgroups(&settings.cgroups);
        containment::report(walls.as_ref(), &settings.cgroups, &cgroups, monitor);
        containment::end_leftovers(storage.parent(), &cgroups, monitor);
        // Behind walls, the kernel ends the processes of a command, and its init process adopts orphans.
        let adopts =
            walls.is_none() && (settings.adopts_orphans || !cgroups.support().contains_processes());
        // Its first scan precedes the first task.
        let orphans = Arc::new(OrphanScanner::new(owner, adopts));
        let reaper = adopts.then(|| OrphanReaper::start(&orphans)).transpose()?;
        Ok(Self {
            settings,
            walls,
            abandoned: Arc::default(),
            orphans,
            sampler: UsageSampler::default(),
            _reaper: reaper,
            cgroups: Arc::new(cgroups),
            monitor: monitor.clone(),
        })
    }

    /// Creates a control group for a command. It has no effect if none can be created on this machine.
    pub(crate) fn create_cgroup(&self) -> Result<Cgroup, CreateCgroupError> {
        self.cgroups.create(&Limits::new())
    }
}

#[cfg(not(unix))]
impl EngineState {
    /// Creates the state. Other systems need no preparation.
    pub(crate) fn prepare(
        settings: EngineSettings,
        walls: Option<Walls>,
        _: &Environment,
    ) -> io::Result<Self> {
        Ok(Self { settings, walls })
    }
}
