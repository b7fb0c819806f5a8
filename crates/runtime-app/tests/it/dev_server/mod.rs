//! The program `taskcluster-dev`.

mod commands;

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};


/// A running server, killed on drop.
struct Server {
    child: Child,
    /// The variables for clients.
    variables: Vec<(String, String)>,
}

impl Server {
    /// Starts a server with its state in a folder.
    fn start(data: &Path, port: &str) -> Self {
        let mut command = program();
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
