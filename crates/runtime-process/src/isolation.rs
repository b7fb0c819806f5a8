//! The choice of walls around tasks.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The walls around the commands of tasks.
///
/// | | `None` | `User` | `Strict` |
/// | --- | --- | --- | --- |
/// | user | the worker's | if the worker is root, a separate user for each task; otherwise the worker's user in a user namespace | as `User` |
/// | privileges | the worker's | none, even with setuid programs | as `User` |
/// | files | the worker's | system folders (read-only), the task's folder and caches, and an empty `/tmp` for each command | as `User`, and Landlock as a second wall |
/// | processes | all are visible; at the end of a command, the engine searches its remaining processes | only those of the command are visible; the kernel ends them together with the command | as `User` |
/// | System V IPC, system calls | the machine's, all | private, filtered | as `User` |
/// | host name, control groups | the machine's | the machine's | private |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum TaskIsolation {
    /// No walls, for tasks that are trusted like the worker itself.
    #[default]
    None,
    /// Walls around users, files and processes.
    User,
    /// All walls.
    Strict,
}

/// The network of tasks behind walls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum TaskNetwork {
    /// The network of the machine, including the servers on its loopback interface.
    #[default]
    Host,
    /// Connections to other machines over IPv4. Connections to this machine and to metadata services of clouds are
    /// blocked. This needs the program `pasta` of the package `passt`.
    Outbound,
    /// Only the loopback interface of the command.
    None,
}

impl fmt::Display for TaskNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Host => "host",
            Self::Outbound => "outbound",
            Self::None => "none",
        })
    }
}

impl fmt::Display for TaskIsolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::User => "user",
            Self::Strict => "strict",
        })
    }
}
