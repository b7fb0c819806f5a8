//! The program `taskcluster-dev`.

mod commands;
mod crash;
mod load;

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use runtime_core::Credentials;

use self::load::Target;

/// A running server, killed on drop.
struct Server {
    child: Child,
    /// The variables for clients.
    variables: Vec<(String, String)>,
}

impl Server {
    /// Starts a server with its state in a folder.
    fn start(data: &Path, port: &str) -> Self {
        Self::start_program(program(), data, port)
    }

    fn start_program(mut command: Command, data: &Path, port: &str) -> Self {
        command.arg("--data").arg(data).args(["--port", port]);
        command.args(["--long-poll", "1"]);
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::null()).spawn().expect("it starts");
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        let lines = output.lines().map_while(Result::ok).take(3);
        let variables = lines.filter_map(|line| {
            let (name, value) = line.strip_prefix("export ")?.split_once('=')?;
            Some((name.to_owned(), value.to_owned()))
        });
        let variables: Vec<_> = variables.collect();
        assert_eq!(variables.len(), 3, "the server prints its variables");
        Self { child, variables }
    }

    fn variable(&self, name: &str) -> &str {
        let mut variables = self.variables.iter();
        let found = variables.find(|(variable, _)| variable == name);
        found.map_or("", |(_, value)| value)
    }

    fn root_url(&self) -> &str {
        self.variable("TASKCLUSTER_ROOT_URL")
    }

    fn port(&self) -> &str {
        self.root_url().rsplit(':').next().unwrap_or_default()
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
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("a killed child ends");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Fails if the server was killed before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_taskcluster-dev"))
}
