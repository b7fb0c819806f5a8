//! The payload fields that the engine reads.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

/// The commands of a task and their variables.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct ProcessPayload {
    /// A program and its arguments, or a list of such commands that run in order until one fails.
    pub(crate) command: Command,
    /// Environment variables.
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
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
