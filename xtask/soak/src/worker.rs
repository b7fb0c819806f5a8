//! The worker as a process, and what it says of its runs.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};
use runtime_mocks::taskcluster::Taskcluster;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// How long a worker without tasks may take to stop.
const STOPS_WITHIN: Duration = Duration::from_secs(30);

/// How often each task was claimed, and how often an end of it was told.
pub(crate) type Told = BTreeMap<String, (u32, u32)>;

/// A worker that claims from an embedded Taskcluster.
pub(crate) struct Worker {
    child: Child,
    told: JoinHandle<Told>,
    pub(crate) pid: u32,
}

impl Worker {
    pub(crate) fn start(program: &Path, data: &Path, taskcluster: &Taskcluster) -> Result<Self> {
        let credentials = taskcluster.credentials();
        let mut command = Command::new(program);
        command
            .args([
                "--connect",
                taskcluster.root_url(),
                "--capacity",
                "6",
                "--data",
            ])
            .arg(data)
            .env("TASKCLUSTER_CLIENT_ID", &credentials.client_id)
            .env(
                "TASKCLUSTER_ACCESS_TOKEN",
                credentials.secrets().next().unwrap_or_default(),
            )
            .env_remove("TASKCLUSTER_CERTIFICATE")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let child = command.spawn();
        let mut child = child.with_context(|| format!("cannot start {}", program.display()))?;
        let output = child.stdout.take().context("its output is piped")?;
        Ok(Self {
            pid: child.id().context("it was just started")?,
            child,
            told: tokio::spawn(listen(output)),
        })
    }

    /// Whether it has ended by itself, which it must not.
    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Stops it as a service manager would, and returns how it ended and what it told.
    pub(crate) async fn stop(mut self) -> Result<(ExitStatus, Told)> {
        let pid = self.pid.to_string();
        Command::new("kill").args(["-TERM", &pid]).status().await?;
        let ended = timeout(STOPS_WITHIN, self.child.wait()).await;
        let status = ended.context("the worker does not stop after SIGTERM")??;
        Ok((status, self.told.await?))
    }
}

/// Counts the lines `NAME claimed` and `NAME RESOLUTION after SECONDS s`.
async fn listen(output: ChildStdout) -> Told {
    let mut told = Told::new();
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        count(&mut told, &line);
    }
    told
}

fn count(told: &mut Told, line: &str) {
    let Some((name, what)) = line
        .split_once(' ')
        .filter(|(name, _)| name.starts_with("soak-"))
    else {
        return;
    };
    let (claims, ends) = told.entry(name.to_owned()).or_default();
    match what.trim() {
        "claimed" => *claims += 1,
        what if what.contains(" after ") => *ends += 1,
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_and_ends_are_counted_by_task() {
        let mut told = Told::new();
        for line in [
            "soak-1     claimed",
            "soak-1     running",
            "soak-2     claimed",
            "soak-1     exception/canceled after 1.20 s",
            "claiming from soak/worker after all",
        ] {
            count(&mut told, line);
        }
        let expected = [("soak-1".to_owned(), (1, 1)), ("soak-2".to_owned(), (1, 0))];
        assert_eq!(told, Told::from(expected));
    }
}
