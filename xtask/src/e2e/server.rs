//! An example program of the workspace that prints how to reach it and serves until it is stopped.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use xshell::{Shell, cmd};

use crate::workspace::cargo;

/// A running server; it is killed when this is dropped.
pub(super) struct Server {
    child: Child,
    /// What it told to export.
    pub(super) exports: Vec<(String, String)>,
}

impl Server {
    /// Builds the example and starts it; returns once it has printed this many `export NAME=value` lines.
    pub(super) fn start(sh: &Shell, package: &str, example: &str, exports: usize) -> Result<Self> {
        Self::start_program(&build(sh, package, example, &[])?, exports)
    }

    /// Starts a program that is there already.
    pub(super) fn start_program(program: &Path, exports: usize) -> Result<Self> {
        let mut command = Command::new(program);
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut child = child.with_context(|| format!("cannot start {}", program.display()))?;
        let output = child.stdout.take().context("its output is piped")?;
        let mut server = Self {
            child,
            exports: Vec::new(),
        };
        server.read_exports(output, exports)?;
        Ok(server)
    }

    fn read_exports(&mut self, output: ChildStdout, wanted: usize) -> Result<()> {
        let mut lines = BufReader::new(output).lines();
        while self.exports.len() < wanted {
            let Some(line) = lines.next() else {
                bail!(
                    "the server ended after {} of {wanted} `export` lines",
                    self.exports.len()
                );
            };
            self.exports.extend(parse_export(&line?));
        }
        // Whatever else it prints must not fill the pipe. The thread ends with the server.
        thread::spawn(move || lines.for_each(drop));
        Ok(())
    }

    /// Asks the server to stop, as a terminal or a service manager would, and expects it to end well.
    pub(super) fn stop(mut self, sh: &Shell) -> Result<()> {
        if cfg!(unix) {
            let pid = self.child.id().to_string();
            cmd!(sh, "kill -TERM {pid}").quiet().run()?;
            let status: ExitStatus = self.child.wait()?;
            ensure!(
                status.success(),
                "the server did not end well when it was asked to stop: {status}"
            );
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only if the server has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Builds an example with all features of its package, and flags for cargo, and returns the program.
pub(crate) fn build(sh: &Shell, package: &str, example: &str, flags: &[&str]) -> Result<PathBuf> {
    let build = cargo(sh).args([
        "build",
        "--all-features",
        "-p",
        package,
        "--example",
        example,
    ]);
    let messages = build
        .args(flags)
        .arg("--message-format=json-render-diagnostics")
        .read()?;
    messages
        .lines()
        .find_map(|message| executable(message, example))
        .context("cargo named no program")
}

fn executable(message: &str, example: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(message).ok()?;
    let is_example =
        message["target"]["name"] == example && message["target"]["kind"][0] == "example";
    Some(
        message["executable"]
            .as_str()
            .filter(|_| is_example)?
            .into(),
    )
}

/// Reads a line that a shell could evaluate.
fn parse_export(line: &str) -> Option<(String, String)> {
    let (name, value) = line.trim().strip_prefix("export ")?.split_once('=')?;
    let value = value.trim_matches(['\'', '"']);
    Some((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exports_are_read_with_and_without_quotes() {
        let pair = Some(("A".to_owned(), "http://127.0.0.1:1/?a=b".to_owned()));
        assert_eq!(parse_export("export A=http://127.0.0.1:1/?a=b"), pair);
        assert_eq!(parse_export("  export A='http://127.0.0.1:1/?a=b'"), pair);
        assert_eq!(parse_export("serving A=b"), None);
    }

    #[test]
    fn the_program_is_the_example_not_the_library() {
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
