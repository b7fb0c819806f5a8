//! What runs on the terminal.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;

use runtime_core::pre_exec::reset_inherited_state;

/// A program for a terminal. `TERM` is `xterm-256color` unless it is set.
#[derive(Clone)]
pub struct ShellCommand {
    program: OsString,
    args: Vec<OsString>,
    envs: Vec<(OsString, OsString)>,
    clears_env: bool,
    folder: Option<PathBuf>,
}

impl ShellCommand {
    /// A program without arguments.
    pub fn new(program: impl Into<OsString>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            envs: vec![("TERM".into(), "xterm-256color".into())],
            clears_env: false,
            folder: None,
        }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets a variable of the environment.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.envs.push((name.into(), value.into()));
        self
    }

    /// Passes nothing of the worker's own environment on.
    #[must_use]
    pub fn env_clear(mut self) -> Self {
        self.clears_env = true;
        self
    }

    /// Sets the folder in which it runs.
    #[must_use]
    pub fn current_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// The name of the program, for messages.
    pub(super) fn program(&self) -> &OsStr {
        &self.program
    }

    pub(super) fn into_command(self) -> pty_process::Command {
        let mut command = pty_process::Command::new(self.program).args(self.args);
        if self.clears_env {
            command = command.env_clear();
        }
        if let Some(folder) = self.folder {
            command = command.current_dir(folder);
        }
        let command = command.envs(self.envs).kill_on_drop(true);
        #[expect(
            unsafe_code,
            reason = "after a fork only async-signal-safe calls are allowed, and these are"
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
