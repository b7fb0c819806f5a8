//! The walls of a sandbox.

use std::fmt;
use std::ops::RangeInclusive;

use crate::files::FileView;

/// A wall between a command and the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Wall {
    /// If the worker is root, a user that no other command has; otherwise a user namespace.
    User,
    /// No capabilities, and no way to gain privileges by executing a program.
    Privileges,
    /// A separate root folder, which contains only the files of the [`FileView`].
    Files,
    /// A process namespace: other processes are invisible, and all processes of the sandbox end with the command.
    Processes,
    /// Separate System V IPC and POSIX message queues.
    Ipc,
    /// A separate host name.
    HostName,
    /// A view of control groups that starts at the command's group.
    ControlGroups,
    /// A network with a loopback interface only. Where network namespaces are not allowed: no sockets except Unix
    /// sockets.
    Network,
    /// A filter that refuses system calls that most escapes need, but only few programs.
    SystemCalls,
    /// A Landlock domain: only files of the [`FileView`], and no signals and abstract sockets to the outside.
    Landlock,
}

impl Wall {
    /// All walls, in the order of their tables.
    pub const ALL: [Self; 10] = [
        Self::User,
        Self::Privileges,
        Self::Files,
        Self::Processes,
        Self::Ipc,
        Self::HostName,
        Self::ControlGroups,
        Self::Network,
        Self::SystemCalls,
        Self::Landlock,
    ];

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

impl fmt::Display for Wall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::User => "user",
            Self::Privileges => "privileges",
            Self::Files => "files",
            Self::Processes => "processes",
            Self::Ipc => "ipc",
            Self::HostName => "host name",
            Self::ControlGroups => "control groups",
            Self::Network => "network",
            Self::SystemCalls => "system calls",
            Self::Landlock => "landlock",
        })
    }
}

/// The walls around a command, and their settings.
///
/// ```
/// # #[cfg(target_os = "linux")] {
/// use runtime_sandbox::{FileView, Isolation, Wall};
///
/// // All walls, but the network of the machine, and one writable folder.
/// let isolation = Isolation::strict()
///     .without(Wall::Network)
///     .files(FileView::system().read_write("/srv/task-1", "/work"));
/// assert!(isolation.has(Wall::Files) && !isolation.has(Wall::Network));
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "an isolation has an effect only as a part of a command"]
pub struct Isolation {
    walls: u16,
    pub(crate) files: FileView,
    pub(crate) users: RangeInclusive<u32>,
    pub(crate) best_effort: bool,
    /// Whether the wall `Network` is a filter of sockets, because this machine does not allow network namespaces.
    filters_sockets: bool,
    /// Whether the wall `Network` permits outgoing connections.
    lets_connections_out: bool,
}

impl Isolation {
    /// The default range of user ids, above the ids of accounts, containers and systemd.
    pub const DEFAULT_USERS: RangeInclusive<u32> = 2_000_000_000..=2_000_065_535;

    /// No walls. The command runs as the worker's user. Its processes are still killed at its end.
    pub fn none() -> Self {
        Self {
            walls: 0,
            files: FileView::system(),
            users: Self::DEFAULT_USERS,
            best_effort: false,
            filters_sockets: false,
            lets_connections_out: false,
        }
    }

    /// Walls around processes and users, but not around the files and the network of the machine.
    pub fn user() -> Self {
        Self::none()
            .with(Wall::User)
            .with(Wall::Privileges)
            .with(Wall::Processes)
            .with(Wall::Ipc)
            .with(Wall::SystemCalls)
    }

    /// All walls, for untrusted commands.
    pub fn strict() -> Self {
        Wall::ALL.into_iter().fold(Self::none(), Self::with)
    }

    /// Adds a wall.
    pub fn with(mut self, wall: Wall) -> Self {
        self.walls |= wall.bit();
        self
    }

    /// Removes a wall.
    pub fn without(mut self, wall: Wall) -> Self {
        self.walls &= !wall.bit();
        self
    }

    /// Returns whether the isolation includes a wall.
    pub fn has(&self, wall: Wall) -> bool {
        self.walls & wall.bit() != 0
    }

    /// Adds the wall [`Network`](Wall::Network), and permits outgoing connections to other machines: TCP, UDP and pings
    /// over IPv4.
    ///
    /// The program `pasta` of the package `passt` forwards the connections. The addresses of this machine and of the
    /// metadata services of clouds are blocked; private networks are reachable. Ports of the sandbox are not reachable
    /// from outside. The command could remove the block with privileges, so the wall [`Privileges`](Wall::Privileges)
    /// is required.
    ///
    /// Addresses that the machine gets after the start, and public addresses that a router translates to the machine,
    /// are not blocked. In a container, only the addresses of the container are blocked, and not those of its host.
    ///
    /// `pasta` is in the control group of the command, if the command has one.
    pub fn outbound_network(mut self) -> Self {
        self.lets_connections_out = true;
        self.with(Wall::Network)
    }

    /// Returns whether the isolation includes the wall [`Network`](Wall::Network), as a namespace.
    pub(crate) fn has_network_namespace(&self) -> bool {
        self.has(Wall::Network) && !self.filters_sockets
    }

    /// Returns whether the isolation includes the wall [`Network`](Wall::Network), with outgoing connections.
    pub(crate) fn has_outbound(&self) -> bool {
        self.has(Wall::Network) && self.lets_connections_out
    }

    /// Returns whether the isolation includes the wall [`Network`](Wall::Network), as a filter of sockets.
    pub(crate) fn has_socket_filter(&self) -> bool {
        self.has(Wall::Network) && self.filters_sockets
    }

    /// Replaces the namespace of the wall [`Network`](Wall::Network) by a filter of sockets.
    pub(crate) fn filter_sockets(mut self) -> Self {
        self.filters_sockets = true;
        self
    }

    /// Sets the files that the command sees. Default: [`FileView::system`].
    ///
    /// The view has an effect only with [`Wall::Files`] or [`Wall::Landlock`].
    pub fn files(mut self, files: FileView) -> Self {
        self.files = files;
        self
    }

    /// Sets the range of user ids for [`Wall::User`] if the worker is root. Each running command has a different id.
    ///
    /// The ids need no entries in `/etc/passwd`. Workers on one machine need ranges that do not overlap. Default:
    /// [`DEFAULT_USERS`](Self::DEFAULT_USERS).
    pub fn users(mut self, users: RangeInclusive<u32>) -> Self {
        self.users = users;
        self
    }

    /// Starts commands without the walls that this machine cannot have, instead of failing.
    ///
    /// [`SandboxChild::missing_walls`](crate::SandboxChild::missing_walls) returns the missing walls. Log them.
    pub fn best_effort(mut self) -> Self {
        self.best_effort = true;
        self
    }
}
