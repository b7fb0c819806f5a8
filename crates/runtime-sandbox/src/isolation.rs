//! The walls of a sandbox.

use std::fmt;
use std::ops::RangeInclusive;

use crate::files::FileView;

/// A wall between a command and the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Wall {
    /// A user for this command alone if the worker is root, else a user namespace.
    User,
    /// No capabilities, and no way to gain privileges by executing a program.
    Privileges,
    /// Its own root folder: only the files of its [`FileView`] exist.
    Files,
    /// A process namespace: other processes are invisible, and its own all end with the command.
    Processes,
    /// Its own System V IPC and POSIX message queues.
    Ipc,
    /// Its own host name.
    HostName,
    /// Its own view of control groups.
    ControlGroups,
    /// A network with a loopback interface only. Where network namespaces are not allowed: no sockets but local ones.
    Network,
    /// A filter that refuses system calls that most escapes need, but few programs.
    SystemCalls,
    /// A Landlock domain: files of its [`FileView`] only, no signals and no abstract sockets to the outside.
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
    /// Whether the wall `Network` is a filter of sockets, since this machine does not allow its namespace.
    filters_sockets: bool,
    /// Whether the wall `Network` lets connections out.
    lets_connections_out: bool,
}

impl Isolation {
    /// The default range of user ids: above those of accounts, containers and systemd.
    pub const DEFAULT_USERS: RangeInclusive<u32> = 2_000_000_000..=2_000_065_535;

    /// No walls. The command runs as the worker's user, and its processes are merely tracked and ended.
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

    /// Separates the command from processes and users, but not from the files and the network of the machine.
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

    /// Returns whether a wall is asked for.
    pub fn has(&self, wall: Wall) -> bool {
        self.walls & wall.bit() != 0
    }

    /// Adds the wall [`Network`](Wall::Network), and lets connections to other machines out: TCP, UDP and pings of IPv4.
    ///
    /// The program `pasta` of the package `passt` forwards them. All addresses of this machine stay closed, and those of
    /// the metadata services of clouds; private networks are open. No port of the sandbox can be reached. The
    /// policies that close addresses need the wall [`Privileges`](Wall::Privileges).
    ///
    /// Addresses that the machine gets later, and public ones that a router translates, are not closed.
    pub fn outbound_network(mut self) -> Self {
        self.lets_connections_out = true;
        self.with(Wall::Network)
    }

    /// Returns whether the wall [`Network`](Wall::Network) is asked for, as a namespace.
    pub(crate) fn has_network_namespace(&self) -> bool {
        self.has(Wall::Network) && !self.filters_sockets
    }

    /// Returns whether the wall [`Network`](Wall::Network) is asked for, and lets connections out.
    pub(crate) fn has_outbound(&self) -> bool {
        self.has(Wall::Network) && self.lets_connections_out
    }

    /// Returns whether the wall [`Network`](Wall::Network) is asked for, as a filter of sockets.
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
    /// They take effect with [`Wall::Files`] or [`Wall::Landlock`].
    pub fn files(mut self, files: FileView) -> Self {
        self.files = files;
        self
    }

    /// Sets the range of user ids for [`Wall::User`] if the worker is root. Each running command has another one.
    ///
    /// The ids need no entries in `/etc/passwd`. Workers on one machine need ranges that do not overlap. Default:
    /// [`DEFAULT_USERS`](Self::DEFAULT_USERS).
    pub fn users(mut self, users: RangeInclusive<u32>) -> Self {
        self.users = users;
        self
    }

    /// Starts commands without the walls that this machine cannot have, instead of failing.
    ///
    /// [`SandboxChild::missing_walls`](crate::SandboxChild::missing_walls) returns them: log them.
    pub fn best_effort(mut self) -> Self {
        self.best_effort = true;
        self
    }
}
