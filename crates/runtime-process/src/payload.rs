//! The payload fields that the engine reads.

use std::collections::BTreeMap;

use runtime_core::util::ByteSize;
use schemars::JsonSchema;
use serde::Deserialize;

/// The commands of a task, their variables and limits.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ProcessPayload {
    /// A program and its arguments, or a list of such commands that run in order until one fails.
    pub(crate) command: Command,
    /// Environment variables.
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
    /// The memory of all processes of a command together, such as `512 MiB`; at least 16 MiB. The worker's limit is the
    /// maximum and the default.
    #[serde(default, with = "ByteSize")]
    pub(crate) max_memory: Option<u64>,
    /// The number of processes and threads of a command. The worker's limit is the maximum and the default.
    #[schemars(range(min = 1))]
    pub(crate) max_processes: Option<u64>,
    /// The number of CPUs whose time all processes of a command together may use, such as 1.5. The worker's limit is
    /// the maximum and the default.
    #[schemars(range(min = 0.01))]
    pub(crate) max_cpus: Option<f64>,
    /// The disk space of the task's folder without caches, such as `10 GiB`; at least 1 MiB. The worker's limit is the
    /// maximum and the default.
    #[serde(default, with = "ByteSize")]
    pub(crate) max_disk: Option<u64>,
}

/// A program and its arguments, or a list of such commands that run in order until one fails.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Command {
    One(#[schemars(length(min = 1))] Vec<String>),
    Many(#[schemars(length(min = 1), inner(length(min = 1)))] Vec<Vec<String>>),
}

impl Command {
    pub(crate) fn into_list(self) -> Vec<Vec<String>> {
        match self {
            Self::One(command) => vec![command],
            Self::Many(commands) => commands,
        }
    }
}
