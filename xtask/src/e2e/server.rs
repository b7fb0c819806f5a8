//! Example programs that print how to reach them and serve until they are stopped.

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
    pub(super) fn start(sh: &Shell, example: &str, exports: usize) -> Result<Self> {
        Self::start_program(&build(sh, example, &[])?, exports)
    }

    /// Starts a program that is already built.
    pub(super) fn start_program(program: &Path, exports: usize) -> Result<Self> {
        let mut command = Command::new(program);
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut child = child.with_context(|| format!("cannot start {}", program.display()))?;
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

/// Builds an example and returns the path of the program.
///
/// With the features that the tests of the workspace use, so that the dependencies are not built again.
pub(crate) fn build(sh: &Shell, example: &str, flags: &[&str]) -> Result<PathBuf> {
    let build = cargo(sh).args(["build", "--workspace", "--all-features"]);
    let build = build.args(["--example", example]).args(flags);
    let messages = build
        .arg("--message-format=json-render-diagnostics")
        .read()?;
    let mut messages = messages.lines();
    messages
        .find_map(|message| executable(message, example))
        .context("cargo did not report the program")
}

fn executable(message: &str, example: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(message).ok()?;
    let target = &message["target"];
    let is_example = target["name"] == example && target["kind"][0] == "example";
    let path = message["executable"].as_str().filter(|_| is_example)?;
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
    fn only_examples_are_executables() {
        let message = |kind| {
            serde_json::json!({"target": {"name": "a", "kind": [kind]}, "executable": "target/a"})
                .to_string()
        };
        assert_eq!(
            executable(&message("example"), "a"),
            Some("target/a".into())
        );
        assert_eq!(executable(&message("bin"), "a"), None);
        assert_eq!(executable("Compiling", "a"), None);
    }
}
