//! How tasks run as processes.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::engine::ProcessEngine;
use crate::ladder::StopSignals;

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
    /// Whether each command gets a control group (v2), where the worker may make one.
    pub control_groups: bool,
    /// Where control groups are made, a folder that is delegated to the worker's user; by default below the
    /// worker's own group.
    pub control_groups_below: Option<PathBuf>,
    /// Whether orphans of tasks come to the worker, so that no zombies pile up.
    pub adopt_orphans: bool,
}

impl Default for ProcessConfig {
    fn default() -> Self {
        Self {
            env: BTreeMap::new(),
            interrupt: 5,
            terminate: 5,
            control_groups: true,
            control_groups_below: None,
            adopt_orphans: false,
        }
    }
}

impl ProcessConfig {
    /// The engine.
    #[must_use]
    pub fn to_engine(&self) -> ProcessEngine {
        let seconds = |seconds: u32| Duration::from_secs(seconds.into());
        let ladder = StopSignals::new(seconds(self.interrupt), seconds(self.terminate));
        let engine = ProcessEngine::new()
            .ladder(ladder)
            .adopt_orphans(self.adopt_orphans);
        let engine = match (self.control_groups, &self.control_groups_below) {
            (false, _) => engine.without_cgroups(),
            (true, Some(parent)) => engine.cgroups_below(parent),
            (true, None) => engine,
        };
        self.env
            .iter()
            .fold(engine, |engine, (name, value)| engine.env(name, value))
    }
}
