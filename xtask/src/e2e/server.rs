//! Programs that print how to reach them and serve until they are stopped.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use xshell::{Shell, cmd};

use crate::workspace::cargo;

/// A running server, killed on drop.
pub(super) struct Server {
    child: Child,
    /// The environment variables that it printed.
    pub(super) exports: Vec<(String, String)>,
}

impl Server {
    /// Builds and starts an example; returns after it has printed this number of `export NAME=value` lines.
    pub(super) fn start(sh: &Shell, example: &'static str, exports: usize) -> Result<Self> {
        let program = build(sh, Program::Example(example), &[])?;
        Self::start_program(&mut Command::new(program), exports)
    }

    /// Builds the program with the embedded Taskcluster, and starts it on a free port.
    pub(super) fn start_taskcluster(sh: &Shell) -> Result<Self> {
        Self::start_built_taskcluster(&build(sh, TASKCLUSTER, &[])?, &[])
    }

    /// Starts the program with the embedded Taskcluster on a free port, with more arguments.
    pub(super) fn start_built_taskcluster(program: &Path, args: &[&OsStr]) -> Result<Self> {
        let mut command = Command::new(program);
        Self::start_program(command.args(["--port", "0"]).args(args), 3)
    }

    fn start_program(command: &mut Command, exports: usize) -> Result<Self> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut child = child.with_context(|| format!("cannot start {command:?}"))?;
        let output = child.stdout.take().context("stdout is piped")?;
        let mut server = Self {
            child,
            exports: Vec::new(),
        };
        server.read_exports(output, exports)?;
        Ok(server)
    }

    fn read_exports(&mut self, output: ChildStdout, wanted: usize) -> Result<()> {
        // A server that never prints its exports blocks here; the time limit of the CI job ends it.
        let mut lines = BufReader::new(output).lines();
        while self.exports.len() < wanted {
            let Some(line) = lines.next() else {
                let count = self.exports.len();
                bail!("the server exited after {count} of {wanted} `export` lines");
            };
            self.exports.extend(parse_export(&line?));
        }
        // Drains the pipe, since the server would block on a full one. The thread ends with the server.
        thread::spawn(move || lines.for_each(drop));
        Ok(())
    }

    /// Returns an exported variable.
    pub(super) fn export(&self, name: &str) -> Result<&str> {
        let mut exports = self.exports.iter();
        let found = exports.find(|(export, _)| export == name);
        let (_, value) = found.with_context(|| format!("the server does not export {name}"))?;
        Ok(value)
    }

    /// Sends SIGTERM and expects the server to exit with success.
    pub(super) fn stop(mut self, sh: &Shell) -> Result<()> {
        if cfg!(unix) {
            let pid = self.child.id().to_string();
            cmd!(sh, "kill -TERM {pid}").quiet().run()?;
            let status: ExitStatus = self.child.wait()?;
            ensure!(
                status.success(),
                "the server failed after SIGTERM: {status}"
            );
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail if the server has already exited.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program with the embedded Taskcluster.
pub(crate) const TASKCLUSTER: Program = Program::Binary("taskcluster-dev");

/// A program of the workspace.
#[derive(Clone, Copy)]
pub(crate) enum Program {
    Binary(&'static str),
    Example(&'static str),
}

impl Program {
    /// Returns the kind of target and its name, as in messages of cargo.
    fn target(self) -> (&'static str, &'static str) {
        match self {
            Self::Binary(name) => ("bin", name),
            Self::Example(name) => ("example", name),
        }
    }
}

/// Builds a program and returns its path.
///
/// With the features that the tests of the workspace use, so that the dependencies are not built again.
pub(crate) fn build(sh: &Shell, program: Program, flags: &[&str]) -> Result<PathBuf> {
    let (kind, name) = program.target();
    let build = cargo(sh).args(["build", "--workspace", "--all-features"]);
    let build = build.args([&format!("--{kind}"), name]).args(flags);
    let messages = build
        .arg("--message-format=json-render-diagnostics")
        .read()?;
    let mut messages = messages.lines();
    messages
        .find_map(|message| executable(message, program))
        .context("cargo did not report the program")
}

fn executable(message: &str, program: Program) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(message).ok()?;
    let (kind, name) = program.target();
    let target = &message["target"];
    let is_program = target["name"] == name && target["kind"][0] == kind;
    let path = message["executable"].as_str().filter(|_| is_program)?;
    Some(path.into())
}

/// Parses a line in shell syntax.
fn parse_export(line: &str) -> Option<(String, String)> {
    let (name, value) = line.trim().strip_prefix("export ")?.split_once('=')?;
    let value = value.trim_matches(['\'', '"']);
    Some((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exports_may_be_quoted() {
        let pair = Some(("A".to_owned(), "http://127.0.0.1:1/?a=b".to_owned()));
        assert_eq!(parse_export("export A=http://127.0.0.1:1/?a=b"), pair);
        assert_eq!(parse_export("  export A='http://127.0.0.1:1/?a=b'"), pair);
        assert_eq!(parse_export("serving A=b"), None);
    }

    #[test]
    fn kind_and_name_select_the_program() {
        let message = |kind| {
            serde_json::json!({"target": {"name": "a", "kind": [kind]}, "executable": "target/a"})
                .to_string()
        };
        assert_eq!(
            executable(&message("example"), Program::Example("a")),
            Some("target/a".into())
        );
        let binary = Program::Binary("a");
        assert_eq!(executable(&message("bin"), binary), Some("target/a".into()));
        assert_eq!(executable(&message("example"), binary), None);
        assert_eq!(executable("Compiling", binary), None);
    }
}
