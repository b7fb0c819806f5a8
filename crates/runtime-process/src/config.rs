//! The configuration section of the engine.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use runtime_core::util::DurationText;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::engine::ProcessEngine;
use crate::high_memory::HighMemoryPolicy;
use crate::isolation::{TaskIsolation, TaskNetwork};
use crate::kill_sequence::KillSequence;
use crate::limits::TaskLimits;

/// The settings of a [`ProcessEngine`] in a configuration file.
///
/// An application adds these settings to its configuration, next to those of the worker.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ProcessConfig {
    /// Environment variables of all tasks. The payload and plugins override them. Default: none.
    pub env: BTreeMap<String, String>,
    /// The time that a task has to exit after `SIGINT`; `0 s` skips the signal. Default: 5 s.
    #[serde(with = "DurationText")]
    pub interrupt_timeout: Duration,
    /// The time that a task has to exit after `SIGTERM`; `0 s` skips the signal. Default: 5 s.
    #[serde(with = "DurationText")]
    pub terminate_timeout: Duration,
    /// Whether each command gets a control group (version 2 or 1), if the worker may create one. Default: true.
    pub cgroups: bool,
    /// The control group below which the groups of commands are created: a folder that is delegated to the worker's
    /// user. Groups at the same path in other hierarchies are used too. Default: the worker's groups.
    pub cgroup_parent: Option<PathBuf>,
    /// Whether the worker adopts and reaps orphans of tasks, so that zombies do not accumulate. Without control groups
    /// and without isolation, the worker always does this. Default: false.
    pub adopt_orphans: bool,
    /// The walls around tasks: `none`, `user` or `strict`. Default: `none`.
    pub isolation: TaskIsolation,
    /// The network of isolated tasks: `host`, `outbound` or `none`. Default: `host`.
    pub network: TaskNetwork,
    /// Folders and files of the machine that isolated tasks see, read-only, in addition to the system folders. Default:
    /// none.
    pub visible_paths: Vec<PathBuf>,
    /// Files and folders in visible folders that are hidden from isolated tasks, such as the configuration of the
    /// worker in `/etc`. Default: none.
    pub hidden_paths: Vec<PathBuf>,
    /// The limits of each command: the defaults for tasks, and the maximum values that payloads may ask for. Default:
    /// none.
    pub limits: TaskLimits,
    /// The thresholds of the machine's memory at which the worker ends the command that uses most memory.
    pub abort_on_high_memory: HighMemoryPolicy,
}

impl Default for ProcessConfig {
    fn default() -> Self {
        Self {
            env: BTreeMap::new(),
            interrupt_timeout: Duration::from_secs(5),
            terminate_timeout: Duration::from_secs(5),
            cgroups: true,
            cgroup_parent: None,
            adopt_orphans: false,
            isolation: TaskIsolation::default(),
            network: TaskNetwork::default(),
            visible_paths: Vec::new(),
            hidden_paths: Vec::new(),
            limits: TaskLimits::default(),
            abort_on_high_memory: HighMemoryPolicy::default(),
        }
    }
}

impl ProcessConfig {
    /// Creates an engine with these settings.
    #[must_use]
    pub fn to_engine(&self) -> ProcessEngine {
        let sequence = KillSequence::new(self.interrupt_timeout, self.terminate_timeout);
        let engine = ProcessEngine::new()
            .kill_sequence(sequence)
            .adopt_orphans(self.adopt_orphans)
            .isolation(self.isolation)
            .network(self.network)
            .limits(self.limits)
            .abort_on_high_memory(self.abort_on_high_memory);
        let visible = self.visible_paths.iter();
        let engine = visible.fold(engine, |engine, path| engine.visible_path(path));
        let hidden = self.hidden_paths.iter();
        let engine = hidden.fold(engine, |engine, path| engine.hidden_path(path));
        let engine = match (self.cgroups, &self.cgroup_parent) {
            (false, _) => engine.without_cgroups(),
            (true, Some(parent)) => engine.cgroup_parent(parent),
            (true, None) => engine,
        };
        self.env
            .iter()
            .fold(engine, |engine, (name, value)| engine.env(name, value))
    }
}
