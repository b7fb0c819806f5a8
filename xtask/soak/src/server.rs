//! The Taskcluster server: a separate process with its state on disk, which can be killed and restarted.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use runtime_core::Credentials;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::ChildStdout;
use tokio::time::timeout;

use crate::process::Process;
use crate::sample::Sample;

/// Seconds. Short, so that reclaims are frequent and a claim whose response was lost expires soon.
const CLAIM_TIMEOUT: &str = "40";
/// Seconds.
const LONG_POLL: &str = "5";
/// The time limit for a start.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// Below the ports that the system assigns: a client that connects to such a port while the server is down might
/// connect to itself.
const PORTS: std::ops::Range<u16> = 20_000..30_000;

/// A server with its state on disk.
pub(crate) struct Server {
    /// Before its folder, which is removed after the process has ended.
    process: Option<Process>,
    program: PathBuf,
    log: PathBuf,
    data: TempDir,
    port: u16,
    pub(crate) root_url: String,
    pub(crate) credentials: Credentials,
}

impl Server {
    /// Starts a server on a free port.
    pub(crate) async fn start(program: &Path, out: &Path) -> Result<Self> {
        let mut server = Self {
            program: program.to_owned(),
            log: out.join("server.log"),
            data: tempfile::Builder::new().prefix("soak-server-").tempdir()?,
            port: free_port()?,
            process: None,
            root_url: String::new(),
            credentials: Credentials::new("", ""),
        };
        let variables = server.restart().await?;
        let variable = |name: &str| {
            let value = variables.get(name).cloned();
            value.with_context(|| format!("the server does not export {name}"))
        };
        server.root_url = variable("TASKCLUSTER_ROOT_URL")?;
        server.credentials = Credentials::new(
            variable("TASKCLUSTER_CLIENT_ID")?,
            variable("TASKCLUSTER_ACCESS_TOKEN")?,
        );
        Ok(server)
    }

    /// Starts the server again after [`kill`](Self::kill). Returns the variables that it exports.
    pub(crate) async fn restart(&mut self) -> Result<BTreeMap<String, String>> {
        let mut command = Process::command(&self.program);
        command
            .args(["--port", &self.port.to_string()])
            .args(["--claim-timeout", CLAIM_TIMEOUT, "--long-poll", LONG_POLL])
            .arg("--data")
            .arg(self.data.path());
        let (process, output) = Process::start(&mut command, &self.log)?;
        self.process = Some(process);
        let mut lines = BufReader::new(output).lines();
        let variables = timeout(START_TIMEOUT, read_exports(&mut lines)).await;
        let log = self.log.display();
        let variables = variables
            .map_err(anyhow::Error::from)
            .flatten()
            .with_context(|| format!("the server did not start, see {log}"))?;
        // A full pipe would block the server.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(variables)
    }

    /// Samples the process, unless it was killed.
    pub(crate) fn sample(&self, at: f64) -> Result<Option<Sample>> {
        let process = self.process.as_ref();
        let sample = process.map(|process| Sample::take(process.pid, self.data.path(), at));
        sample.transpose().context("cannot sample the server")
    }

    pub(crate) async fn kill(&mut self) -> Result<()> {
        match self.process.take() {
            Some(process) => process.kill().await,
            None => Ok(()),
        }
    }

    pub(crate) async fn stop(mut self) -> Result<()> {
        let process = self.process.take().context("the server is not running")?;
        let status = process.stop().await?;
        ensure!(
            status.success(),
            "the server failed after SIGTERM: {status}"
        );
        Ok(())
    }
}

fn free_port() -> Result<u16> {
    for _ in 0..100 {
        let port = fastrand::u16(PORTS);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port in {PORTS:?}")
}

/// Reads the lines `export NAME='VALUE'`, of which the server prints three.
async fn read_exports(
    lines: &mut Lines<BufReader<ChildStdout>>,
) -> Result<BTreeMap<String, String>> {
    let mut variables = BTreeMap::new();
    while variables.len() < 3 {
        let line = lines.next_line().await?.context("the server exited")?;
        let export = line.trim().strip_prefix("export ");
        if let Some((name, value)) = export.and_then(|export| export.split_once('=')) {
            let value = value.trim_matches(['\'', '"']);
            variables.insert(name.to_owned(), value.to_owned());
        }
    }
    Ok(variables)
}
