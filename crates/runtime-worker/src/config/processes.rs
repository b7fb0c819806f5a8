//! How tasks run as processes.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How tasks run as processes.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ProcessConfig {
    /// Variables that all tasks see unless they set them themselves.
    pub env: BTreeMap<String, String>,
    /// Seconds that a task has to obey `SIGINT`; 0 leaves it out.
    pub interrupt: u32,
    /// Seconds that a task has to obey `SIGTERM`; 0 leaves it out.
    pub terminate: u32,
    /// Where control groups are made for tasks.
    pub control_groups: ControlGroupsConfig,
    /// Whether orphans of tasks come to the worker, so that no zombies pile up.
    pub adopt_orphans: bool,
}

impl Default for ProcessConfig {
    fn default() -> Self {
        Self {
            env: BTreeMap::new(),
            interrupt: 5,
            terminate: 5,
            control_groups: ControlGroupsConfig::Own,
            adopt_orphans: false,
        }
    }
}

#[cfg(feature = "process")]
impl ProcessConfig {
    /// The engine.
    #[must_use]
    pub fn to_engine(&self) -> crate::ProcessEngine {
        let seconds = |seconds: u32| std::time::Duration::from_secs(seconds.into());
        let ladder = crate::Ladder::new(seconds(self.interrupt), seconds(self.terminate));
        let engine = crate::ProcessEngine::new()
            .ladder(ladder)
            .adopt_orphans(self.adopt_orphans);
        let engine = match &self.control_groups {
            ControlGroupsConfig::Own => engine,
            ControlGroupsConfig::None => engine.without_cgroups(),
            ControlGroupsConfig::Below(parent) => engine.cgroups_below(parent),
        };
        self.env
            .iter()
            .fold(engine, |engine, (name, value)| engine.env(name, value))
    }
}

/// Where control groups (v2) are made for tasks.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ControlGroupsConfig {
    /// Below the worker's own, if it may make some there.
    Own,
    /// Nowhere.
    None,
    /// Below this one, which must be delegated to the worker's user.
    Below(PathBuf),
}
