//! The limits of the control groups of commands.

use crate::cgroup::{CgroupParents, CreateCgroupError, Limits};
use crate::limits::{InvalidLimitError, TaskLimits};
use crate::settings::{CgroupSetting, EngineSettings};

/// The machine cannot have the limits of the settings.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LimitsError {
    #[error(transparent)]
    Invalid(#[from] InvalidLimitError),

    #[error(
        "the settings `limits` of the process engine ({limits}) need control groups, which the setting `cgroups` disables: \
         enable them, or remove the limits"
    )]
    CgroupsDisabled { limits: TaskLimits },

    #[error(
        "this machine cannot have the setting `limits{}` of the process engine: run the worker as root, or delegate a \
         control group to its user (`cgroupParent`); `limits.bestEffort: true` lets tasks run without it",
        .setting.map(|it| format!(".{it}")).unwrap_or_default()
    )]
    Impossible {
        setting: Option<&'static str>,
        source: CreateCgroupError,
    },
}

/// The use of the members of a control group that are not the command's, which gets its limits in addition.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct OwnUse {
    pub(crate) processes: u64,
    /// In bytes.
    pub(crate) memory: u64,
}

impl TaskLimits {
    /// Returns the limits of a group.
    pub(crate) fn of_group(&self, own: OwnUse) -> Limits {
        let mut limits = Limits::new();
        if let Some(bytes) = self.memory {
            limits = limits.memory(bytes.saturating_add(own.memory));
        }
        if let Some(count) = self.processes {
            limits = limits.pids(count + own.processes);
        }
        if let Some(cpus) = self.cpus {
            limits = limits.cpus(cpus);
        }
        if self.best_effort {
            limits = limits.best_effort();
        }
        limits
    }

    /// Creates a group with these limits and removes it. Returns the missing limits, which only best effort permits.
    pub(crate) fn probe(
        &self,
        parents: &CgroupParents,
    ) -> Result<Vec<&'static str>, CreateCgroupError> {
        if !self.needs_group() {
            return Ok(Vec::new());
        }
        let group = parents.create(&self.of_group(OwnUse::default()))?;
        Ok(group.missing_limits().to_vec())
    }
}

/// Checks the limits of the settings, and whether groups can have them. Returns the missing limits, which only best
/// effort permits.
pub(crate) fn probe_settings(
    settings: &EngineSettings,
    parents: &CgroupParents,
) -> Result<Vec<&'static str>, LimitsError> {
    let limits = settings.limits;
    limits.check()?;
    let is_disabled = matches!(settings.cgroups, CgroupSetting::Disabled);
    if is_disabled && limits.needs_group() && !limits.best_effort {
        return Err(LimitsError::CgroupsDisabled { limits });
    }
    limits
        .probe(parents)
        .map_err(|source| LimitsError::Impossible {
            setting: missing_limit(&source).map(|(_, setting)| setting),
            source,
        })
}

/// Returns the fields of the payload and of the settings whose limit this machine cannot have, if that is the error.
pub(crate) fn missing_limit(error: &CreateCgroupError) -> Option<(&'static str, &'static str)> {
    match error.limit()? {
        "memory" | "swap" => Some(("maxMemory", "memory")),
        "processes" => Some(("maxProcesses", "processes")),
        "CPU time" => Some(("maxCpus", "cpus")),
        _ => None,
    }
}
