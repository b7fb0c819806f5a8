//! The command that a shell runs.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use runtime_core::pre_exec::reset_inherited_state;

/// A program to run on a terminal.
///
/// It inherits no environment variable of the worker, which may contain credentials. `TERM` is `xterm-256color` unless it
/// is set, and `PATH` is `/usr/local/bin:/usr/bin:/bin`.
///
/// ```
/// use runtime_webhook::ShellCommand;
///
/// let command = ShellCommand::new("/bin/bash").args(["-l"]).env("HOME", "/home/task");
/// # drop(command);
/// ```
#[derive(Clone)]
pub struct ShellCommand {
    pub(super) program: OsString,
    args: Vec<OsString>,
    envs: Vec<(OsString, OsString)>,
    folder: Option<PathBuf>,
}

impl ShellCommand {
    /// Creates a command without arguments.
    pub fn new(program: impl Into<OsString>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            envs: vec![
                ("TERM".into(), "xterm-256color".into()),
                ("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into()),
            ],
            folder: None,
        }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.envs.push((name.into(), value.into()));
        self
    }

    /// Sets the working directory.
    #[must_use]
    pub fn current_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    pub(super) fn into_command(self) -> pty_process::Command {
        let mut command = pty_process::Command::new(self.program)
            .args(self.args)
            .env_clear();
        if let Some(folder) = self.folder {
            command = command.current_dir(folder);
        }
        let command = command.envs(self.envs).kill_on_drop(true);
        // A child inherits ignored signals and open files. If the worker runs in the background, Ctrl-C would
        // be ignored in the shell.
        #[expect(
            unsafe_code,
            reason = "only async-signal-safe calls are allowed between fork and exec"
        )]
        // SAFETY: the function allocates nothing and takes no lock.
        unsafe {
            command.pre_exec(reset_inherited_state)
        }
    }
}

impl fmt::Debug for ShellCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShellCommand")
            .field("program", &self.program)
            .finish_non_exhaustive()
    }
}
