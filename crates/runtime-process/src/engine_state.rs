//! The state that all tasks of an engine share.

use std::sync::Arc;

use runtime_core::{BoxError, Environment, MalformedPayloadError, TaskError};
use runtime_worker::BlockingGate;
#[cfg(unix)]
use {
    crate::cgroup::CgroupParents,
    crate::child_process::AbandonedChildren,
    crate::containment,
    crate::group_limits::{missing_limit, probe_settings},
    crate::marks::OwningWorker,
    crate::orphan_reaper::OrphanReaper,
    crate::orphans::OrphanScanner,
    crate::usage::UsageSampler,
    runtime_core::{Monitor, error_chain},
};

use crate::limits::TaskLimits;
#[cfg(target_os = "linux")]
use crate::memory_watch::MemoryWatch;
use crate::payload::ProcessPayload;
use crate::settings::EngineSettings;
use crate::walls::Walls;

/// The state that all tasks of an engine share.
#[derive(Debug)]
pub(crate) struct EngineState {
    pub(crate) settings: EngineSettings,
    /// `None` if tasks run without walls.
    pub(crate) walls: Option<Walls>,
    /// The threads on which commands start and end.
    pub(crate) threads: BlockingGate,
    #[cfg(unix)]
    pub(crate) abandoned: Arc<AbandonedChildren>,
    #[cfg(unix)]
    pub(crate) orphans: Arc<OrphanScanner>,
    #[cfg(unix)]
    pub(crate) sampler: UsageSampler,
    #[cfg(target_os = "linux")]
    pub(crate) running: MemoryWatch,
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
    /// Kills processes that crashed workers left running on the same storage or in control groups, because they would
    /// compete with new tasks. Logs the walls and limits that tasks have.
    pub(crate) fn prepare(
        settings: EngineSettings,
        walls: Option<Walls>,
        environment: &Environment,
    ) -> Result<Self, BoxError> {
        let (storage, monitor) = (environment.storage.path(), &environment.monitor);
        let owner = OwningWorker::of(storage)?;
        let cgroups = containment::find_cgroups(&settings.cgroups);
        containment::report(walls.as_ref(), &settings, &cgroups, monitor);
        for limit in probe_settings(&settings, &cgroups)? {
            monitor.warn(format_args!(
                "tasks run without the limit of {limit}, which this machine cannot have"
            ));
        }
        if let Some(error) = walls.as_ref().and_then(Walls::no_proxies) {
            let reason = error_chain(error);
            monitor.warn(format_args!(
                "tasks cannot have proxies, which need a network namespace on this machine: {reason}"
            ));
        }
        #[cfg(target_os = "linux")]
        if crate::proc::machine_memory(&settings.meminfo).is_none() {
            monitor.warn(format_args!(
                "cannot read the memory of the machine from `{}`: no task is ended when it is low",
                settings.meminfo.display()
            ));
        }
        containment::end_leftovers(storage.parent(), &cgroups, monitor);
        // Behind walls, the kernel ends the processes of a command, and its init process adopts orphans.
        let adopts =
            walls.is_none() && (settings.adopts_orphans || !cgroups.support().contains_processes());
        // Its first scan precedes the first task.
        let orphans = Arc::new(OrphanScanner::new(owner, adopts));
        let reaper = adopts.then(|| OrphanReaper::start(&orphans)).transpose()?;
        Ok(Self {
            #[cfg(target_os = "linux")]
            running: MemoryWatch::new(settings.high_memory, settings.meminfo.clone()),
            settings,
            walls,
            threads: BlockingGate::default(),
            abandoned: Arc::default(),
            orphans,
            sampler: UsageSampler::default(),
            _reaper: reaper,
            cgroups: Arc::new(cgroups),
            monitor: monitor.clone(),
        })
    }

    /// Checks whether commands can have the limits of a payload. Blocks.
    fn check_limits(&self, limits: &TaskLimits) -> Result<(), TaskError> {
        let Err(error) = limits.probe(&self.cgroups) else {
            return Ok(());
        };
        let Some((field, _)) = missing_limit(&error) else {
            return Err(TaskError::other(error));
        };
        let reason = error_chain(&error);
        self.monitor.warn(format_args!(
            "the payload of a task asks for `{field}` in vain: {reason}"
        ));
        Err(MalformedPayloadError::new(format!(
            "this worker cannot have the limit `{field}`: remove it, or use another worker pool"
        ))
        .into())
    }
}

#[cfg(not(unix))]
impl EngineState {
    /// Creates the state. Other systems need no preparation.
    pub(crate) fn prepare(
        settings: EngineSettings,
        walls: Option<Walls>,
        environment: &Environment,
    ) -> Result<Self, BoxError> {
        settings.limits.check()?;
        if settings.limits.needs_group() {
            let limits = settings.limits;
            let message =
                format!("this system cannot limit tasks ({limits}): remove the setting `limits`");
            if !limits.best_effort {
                return Err(message.into());
            }
            environment.monitor.warn(message);
        }
        Ok(Self {
            settings,
            walls,
            threads: BlockingGate::default(),
        })
    }

    fn check_limits(&self, limits: &TaskLimits) -> Result<(), TaskError> {
        if limits.best_effort || !limits.needs_group() {
            return Ok(());
        }
        let message = "this worker cannot have the limits `maxMemory`, `maxProcesses` and `maxCpus`: remove them, \
                       or use another worker pool";
        Err(MalformedPayloadError::new(message).into())
    }
}

impl EngineState {
    /// Returns the limits of a task.
    ///
    /// # Errors
    ///
    /// A malformed payload: it asks for more than the settings permit, or for a limit that this machine cannot have.
    pub(crate) async fn limits_of(
        self: &Arc<Self>,
        payload: &ProcessPayload,
    ) -> Result<TaskLimits, TaskError> {
        let limits = self.settings.limits.of_task(payload)?;
        // Those of the settings were tried when the worker started.
        if limits != self.settings.limits {
            let state = Arc::clone(self);
            let tried = tokio::task::spawn_blocking(move || state.check_limits(&limits)).await;
            tried.map_err(TaskError::other)??;
        }
        Ok(limits)
    }
}
