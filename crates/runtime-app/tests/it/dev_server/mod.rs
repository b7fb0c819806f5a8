//! The program `taskcluster-dev`.

mod commands;
mod crash;
mod load;

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use runtime_core::Credentials;

use self::load::Target;
use crate::Program;

/// A running server.
struct Server {
    program: Program,
    /// The variables for clients.
    variables: Vec<(String, String)>,
}

impl Server {
    /// Starts a server on a free port, with its state in a folder.
    fn start(data: &Path) -> Self {
        Self::start_program(program(), data)
    }

    fn start_program(mut command: Command, data: &Path) -> Self {
        command.arg("--data").arg(data).args(["--port", "0"]);
        command.args(["--long-poll", "1"]);
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut program = Program::start(command.stderr(Stdio::null()));
        let output = BufReader::new(program.stdout.take().expect("a pipe"));
        let lines = output.lines().map_while(Result::ok).take(3);
        let variables = lines.filter_map(|line| {
            let (name, value) = line.strip_prefix("export ")?.split_once('=')?;
            Some((name.to_owned(), value.to_owned()))
        });
        let variables: Vec<_> = variables.collect();
        assert_eq!(variables.len(), 3, "the server prints its variables");
        Self { program, variables }
    }

    fn variable(&self, name: &str) -> &str {
        let mut variables = self.variables.iter();
        let found = variables.find(|(variable, _)| variable == name);
        found.map_or("", |(_, value)| value)
    }

    fn root_url(&self) -> &str {
        self.variable("TASKCLUSTER_ROOT_URL")
    }

    /// Returns the server as clients see it.
    fn target(&self) -> Target {
        let credentials = Credentials::new(
            self.variable("TASKCLUSTER_CLIENT_ID"),
            self.variable("TASKCLUSTER_ACCESS_TOKEN"),
        );
        Target::new(self.root_url(), credentials)
    }

    /// Kills the server, as `kill -9` does.
    fn kill(&mut self) {
        self.program.kill_and_wait();
    }
}

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_taskcluster-dev"))
}
