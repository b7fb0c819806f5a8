//! The command that runs in a sandbox.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::cgroup::{Cgroup, CgroupParents};
use crate::isolation::Isolation;
use crate::limits::Limits;
use crate::stdio::StdStream;
use crate::terminal::TerminalSize;

/// A command, the walls around it, and its limits.
///
/// By default, the environment is empty, the standard streams are `/dev/null`, and the walls are [`Isolation::strict`].
///
/// ```
/// # #[cfg(target_os = "linux")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use runtime_sandbox::{Isolation, SandboxCommand, StdStream};
/// use tokio::io::AsyncReadExt as _;
///
/// let mut child = SandboxCommand::new("sh")
///     .args(["-c", "echo $GREETING"])
///     .env("GREETING", "good morning")
///     .stdout(StdStream::Pipe)
///     .isolation(Isolation::none())
///     .spawn()
///     .await?;
/// let mut output = String::new();
/// if let Some(stdout) = &mut child.stdout {
///     stdout.read_to_string(&mut output).await?;
/// }
/// assert_eq!(output, "good morning\n");
/// assert!(child.wait().await?.status.success());
/// # Ok(())
/// # }
/// # #[cfg(not(target_os = "linux"))]
/// # fn main() {}
/// ```
#[must_use = "a command runs when it is spawned"]
pub struct SandboxCommand {
    pub(crate) program: OsString,
    pub(crate) arguments: Vec<OsString>,
    pub(crate) variables: BTreeMap<OsString, OsString>,
    pub(crate) directory: Option<PathBuf>,
    pub(crate) stdin: StdStream,
    pub(crate) stdout: StdStream,
    pub(crate) stderr: StdStream,
    pub(crate) terminal: Option<TerminalSize>,
    pub(crate) isolation: Isolation,
    pub(crate) limits: Limits,
    pub(crate) user: Option<(u32, u32)>,
    pub(crate) cgroup_parents: Option<Arc<CgroupParents>>,
    pub(crate) joined_cgroup: Option<Arc<Cgroup>>,
    /// The ports of the sandbox's loopback interface on which the worker listens.
    pub(crate) ports: Vec<u16>,
    /// Whether only the walls are raised, and no program is executed.
    pub(crate) is_probe: bool,
}

impl SandboxCommand {
    /// Creates a command.
    ///
    /// A program without a slash is searched inside the sandbox, in the folders of the command's variable `PATH`, or
    /// of `/usr/local/bin:/usr/bin:/bin` if there is none.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            arguments: Vec::new(),
            variables: BTreeMap::new(),
            directory: None,
            stdin: StdStream::Null,
            stdout: StdStream::Null,
            stderr: StdStream::Null,
            terminal: None,
            isolation: Isolation::strict(),
            limits: Limits::new(),
            user: None,
            cgroup_parents: None,
            joined_cgroup: None,
            ports: Vec::new(),
            is_probe: false,
        }
    }

    /// Adds an argument.
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    pub fn args(mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        let arguments = arguments.into_iter().map(|it| it.as_ref().to_owned());
        self.arguments.extend(arguments);
        self
    }

    /// Sets an environment variable. The command has only the variables that are set.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        let (name, value) = (name.as_ref().to_owned(), value.as_ref().to_owned());
        self.variables.insert(name, value);
        self
    }

    /// Sets the working directory, a path inside the sandbox.
    ///
    /// Default: `/` with the wall [`Files`](crate::Wall::Files), else the worker's working directory.
    pub fn current_dir(mut self, directory: impl AsRef<Path>) -> Self {
        self.directory = Some(directory.as_ref().to_owned());
        self
    }

    /// Sets the standard input. Default: [`StdStream::Null`].
    pub fn stdin(mut self, stream: StdStream) -> Self {
        self.stdin = stream;
        self
    }

    /// Sets the standard output. Default: [`StdStream::Null`].
    pub fn stdout(mut self, stream: StdStream) -> Self {
        self.stdout = stream;
        self
    }

    /// Sets the standard error. Default: [`StdStream::Null`].
    pub fn stderr(mut self, stream: StdStream) -> Self {
        self.stderr = stream;
        self
    }

    /// Uses a new terminal for all standard streams of the command, and ignores the settings of the streams.
    ///
    /// [`SandboxChild::terminal`](crate::SandboxChild::terminal) is the worker's side of the terminal. With the wall
    /// [`Files`](crate::Wall::Files), the terminal has no path, so `ttyname` does not find it.
    pub fn terminal(mut self, size: TerminalSize) -> Self {
        self.terminal = Some(size);
        self
    }

    /// Sets the walls. Default: [`Isolation::strict`].
    pub fn isolation(mut self, isolation: Isolation) -> Self {
        self.isolation = isolation;
        self
    }

    /// Sets the resource limits. Default: [`Limits::new`].
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets the user and group id for [`Wall::User`](crate::Wall::User). Default: a free id of the range.
    ///
    /// Use it for a command that works on folders of this user. It has an effect only if the worker is root; otherwise
    /// the command keeps the worker's ids.
    pub fn user(mut self, user: u32, group: u32) -> Self {
        self.user = Some((user, group));
        self
    }

    /// Opens a listener for the worker on a port of the sandbox's loopback interface (IPv4), before the program starts.
    /// This needs the wall [`Network`](crate::Wall::Network), as a namespace.
    ///
    /// The worker accepts the connections with [`SandboxChild::listeners`](crate::SandboxChild::listeners). The command
    /// can reach no other port of the worker.
    pub fn listen(mut self, port: u16) -> Self {
        self.ports.push(port);
        self
    }

    /// Creates the control group of the command below these parents instead of the worker's own groups.
    ///
    /// The command then has a group, if the parents allow it, even without [`Limits`] that need a group.
    pub fn cgroup_parents(mut self, parents: &Arc<CgroupParents>) -> Self {
        self.cgroup_parents = Some(Arc::clone(parents));
        self
    }

    /// Lets the command join a control group, whose limits it shares with the other members and with which it ends.
    ///
    /// It then has no group of its own: the limits of all processes together are ignored, and its exit has no account of
    /// a group.
    pub fn join_cgroup(mut self, cgroup: &Arc<Cgroup>) -> Self {
        self.joined_cgroup = Some(Arc::clone(cgroup));
        self
    }
}

/// Omits arguments and values of variables, which may be secrets.
impl fmt::Debug for SandboxCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SandboxCommand")
            .field("program", &self.program)
            .field("variables", &self.variables.keys())
            .field("directory", &self.directory)
            .field("isolation", &self.isolation)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
