//! The reasons why a command is not started, and the steps of a start.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::cgroup::CreateCgroupError;
use crate::isolation::Wall;

/// A command could not be started. No processes or files of the start are left.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpawnError {
    /// A text for the kernel contains a NUL byte.
    #[error("the {kind} contains a NUL byte")]
    NulByte {
        /// The role of the text, such as `argument`. The text itself may be a secret.
        kind: &'static str,
    },

    /// The program is missing, may not be executed, or has an unknown format.
    #[error("cannot execute `{}` inside the sandbox", .program.display())]
    Execute {
        /// The program as given to the command.
        program: PathBuf,
        /// The error of the kernel, or of the last program in the search path.
        source: io::Error,
    },

    /// A step before the execution failed.
    #[error("cannot {step}{}{}", of(.path.as_ref()), remedy(*.step))]
    Step {
        /// The step.
        step: SpawnStep,
        /// The file or folder of the failed operation.
        path: Option<PathBuf>,
        /// The error of the kernel.
        source: io::Error,
    },

    /// A wall is incompatible with the other settings.
    #[error("the wall `{wall}` is impossible with these settings: {reason}")]
    Settings {
        /// The wall.
        wall: Wall,
        /// The required change of the settings.
        reason: &'static str,
    },

    /// The control group cannot be created, or a limit cannot be set.
    #[error(transparent)]
    Cgroup(#[from] CreateCgroupError),

    /// All user ids of the range are in use.
    #[error("all {count} user ids of the range are in use; widen it or run fewer commands")]
    NoFreeUser {
        /// The size of the range.
        count: u32,
    },
}

impl SpawnError {
    /// Returns the wall that could not be raised, if this is the cause of the error.
    pub fn wall(&self) -> Option<Wall> {
        match self {
            Self::Step { step, .. } => step.wall(),
            Self::Settings { wall, .. } => Some(*wall),
            _ => None,
        }
    }
}

/// A step of a start that can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpawnStep {
    /// Creates the files of the init program and the streams.
    Prepare,
    /// Creates the first process, with its user and process namespaces.
    Clone,
    /// Executes the init program from memory.
    Init,
    /// Closes the worker's descriptors.
    CloseFiles,
    /// Enters the walls of a running sandbox.
    Enter,
    /// Maps the user into its namespace.
    MapUser,
    /// Joins a control group.
    JoinControlGroup,
    /// Creates a namespace for System V and POSIX message queues.
    IpcNamespace,
    /// Creates a namespace for the host name, and sets it.
    HostNameNamespace,
    /// Creates a control group namespace.
    ControlGroupNamespace,
    /// Creates a network namespace with a loopback interface.
    NetworkNamespace,
    /// Listens on a port of the sandbox's loopback interface.
    Listen,
    /// Connects the network of the sandbox to that of the machine.
    OutboundNetwork,
    /// Adds the filter of sockets, where network namespaces are not allowed.
    SocketFilter,
    /// Mounts `/proc` for the processes of the sandbox.
    ProcessFiles,
    /// Creates a mount namespace.
    MountNamespace,
    /// Mounts a part of the new root folder.
    Mount,
    /// Replaces the root folder, and unmounts the previous one.
    PivotRoot,
    /// Leaves the worker's session keyring.
    Keyring,
    /// Drops capabilities.
    DropCapabilities,
    /// Changes the user and group.
    ChangeUser,
    /// Prevents programs from adding privileges.
    NoNewPrivileges,
    /// Adds a Landlock domain.
    Landlock,
    /// Adds the filter for system calls.
    SystemCallFilter,
    /// Creates the process of the command.
    Fork,
    /// Sets a resource limit.
    Limit,
    /// Creates the session of the command, and its terminal.
    Session,
    /// Changes to the working directory.
    WorkingDirectory,
    /// Executes the program of the command.
    Execute,
}

impl SpawnStep {
    /// Returns the wall that the step is part of.
    pub fn wall(self) -> Option<Wall> {
        Some(match self {
            Self::MapUser | Self::ChangeUser => Wall::User,
            Self::IpcNamespace => Wall::Ipc,
            Self::HostNameNamespace => Wall::HostName,
            Self::ControlGroupNamespace => Wall::ControlGroups,
            Self::NetworkNamespace | Self::Listen | Self::OutboundNetwork | Self::SocketFilter => {
                Wall::Network
            }
            Self::ProcessFiles => Wall::Processes,
            Self::MountNamespace | Self::Mount | Self::PivotRoot => Wall::Files,
            Self::DropCapabilities | Self::NoNewPrivileges => Wall::Privileges,
            Self::Landlock => Wall::Landlock,
            Self::SystemCallFilter => Wall::SystemCalls,
            _ => return None,
        })
    }
}

impl fmt::Display for SpawnStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Prepare => "prepare the files of a sandbox",
            Self::Clone => "create a process with its own namespaces",
            Self::Init => "execute the init program of a sandbox from memory",
            Self::CloseFiles => "close the worker's files",
            Self::Enter => "enter the walls of the sandbox",
            Self::MapUser => "map the user into its namespace",
            Self::JoinControlGroup => "join the control group",
            Self::IpcNamespace => "create an IPC namespace",
            Self::HostNameNamespace => "create a host name namespace",
            Self::ControlGroupNamespace => "create a control group namespace",
            Self::NetworkNamespace => "create a network namespace",
            Self::Listen => "listen on a port of the sandbox",
            Self::OutboundNetwork => "connect the network of the sandbox with",
            Self::SocketFilter => "filter sockets",
            Self::ProcessFiles => "mount `/proc` for the processes of the sandbox",
            Self::MountNamespace => "create a mount namespace",
            Self::Mount => "mount into the sandbox",
            Self::PivotRoot => "change the root folder",
            Self::Keyring => "leave the worker's keyring",
            Self::DropCapabilities => "drop capabilities",
            Self::ChangeUser => "change the user",
            Self::NoNewPrivileges => "forbid new privileges",
            Self::Landlock => "restrict files with Landlock",
            Self::SystemCallFilter => "filter system calls",
            Self::Fork => "create the process of the command",
            Self::Limit => "set a resource limit",
            Self::Session => "create the session of the command",
            Self::WorkingDirectory => "use the working directory",
            Self::Execute => "execute the program",
        })
    }
}

fn of(path: Option<&PathBuf>) -> String {
    path.map_or_else(String::new, |path| format!(" `{}`", path.display()))
}

/// Returns advice for an operator about a failed step.
fn remedy(step: SpawnStep) -> &'static str {
    match step {
        SpawnStep::Clone => {
            "; are user namespaces allowed (sysctls `user.max_user_namespaces`, `kernel.unprivileged_userns_clone`, \
             `kernel.apparmor_restrict_unprivileged_userns`), is the worker outside of a chroot, is the limit of processes reached?"
        }
        SpawnStep::Init => "; is `vm.memfd_noexec` below 2?",
        SpawnStep::ProcessFiles => {
            "; is a part of the machine's `/proc` covered, as in containers?"
        }
        SpawnStep::MountNamespace | SpawnStep::PivotRoot => {
            "; the wall `files` needs Linux 5.12 and the right to mount"
        }
        SpawnStep::OutboundNetwork => {
            "; is the package `passt` installed, has this machine a route for IPv4, may this user open `/dev/net/tun`, has the kernel policies (`CONFIG_XFRM_USER`)?"
        }
        SpawnStep::Landlock => "; is `landlock` in the kernel's list of security modules (`lsm=`)?",
        SpawnStep::Mount | SpawnStep::WorkingDirectory => "; does it exist, may this user read it?",
        _ => "",
    }
}

/// Returns the error of the step [`Prepare`](SpawnStep::Prepare).
pub(crate) fn prepare(source: io::Error) -> SpawnError {
    let (step, path) = (SpawnStep::Prepare, None);
    SpawnError::Step { step, path, source }
}

/// The program that connects the network of a sandbox to that of the machine.
pub(crate) const PASTA: &str = "pasta";

/// Returns the error of the step [`OutboundNetwork`](SpawnStep::OutboundNetwork).
pub(crate) fn outbound_failed(source: io::Error) -> SpawnError {
    SpawnError::Step {
        step: SpawnStep::OutboundNetwork,
        path: Some(PathBuf::from(PASTA)),
        source,
    }
}
