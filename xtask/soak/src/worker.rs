//! The worker process, and the claims and resolutions that it prints.

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

/// The time limit for the exit of an idle worker.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// The numbers of claims and of resolutions of each task.
pub(crate) type ClaimCounts = BTreeMap<String, (u32, u32)>;

/// A worker process that claims from an embedded Taskcluster.
pub(crate) struct Worker {
    child: Child,
    claims: JoinHandle<ClaimCounts>,
    pub(crate) pid: u32,
}

impl Worker {
    pub(crate) fn start(program: &Path, data: &Path, taskcluster: &Taskcluster) -> Result<Self> {
        let credentials = taskcluster.credentials();
        let mut command = Command::new(program);
        let access_token = credentials.secrets().next().unwrap_or_default();
        command
            .args([
                "run",
                "--connect",
                taskcluster.root_url(),
                "--capacity",
                "6",
            ])
            .arg("--data")
            .arg(data)
            .env("TASKCLUSTER_CLIENT_ID", &credentials.client_id)
            .env("TASKCLUSTER_ACCESS_TOKEN", access_token)
            // An inherited certificate would belong to other credentials.
            .env_remove("TASKCLUSTER_CERTIFICATE")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let child = command.spawn();
        let mut child = child.with_context(|| format!("cannot start {}", program.display()))?;
        let output = child.stdout.take().context("stdout is piped")?;
        Ok(Self {
            pid: child.id().context("the process was just started")?,
            child,
            claims: tokio::spawn(count_claims(output)),
        })
    }

    /// Returns whether the process is running.
    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends SIGTERM as a service manager does; returns the exit status and the counts.
    pub(crate) async fn stop(mut self) -> Result<(ExitStatus, ClaimCounts)> {
        // `Child::kill` would send SIGKILL.
        let pid = self.pid.to_string();
        Command::new("kill").args(["-TERM", &pid]).status().await?;
        let exited = timeout(STOP_TIMEOUT, self.child.wait()).await;
        let status = exited.context("the worker did not exit after SIGTERM")??;
        Ok((status, self.claims.await?))
    }
}

/// Counts the lines `NAME claimed` and `NAME RESOLUTION after SECONDS s`.
async fn count_claims(output: ChildStdout) -> ClaimCounts {
    let mut counts = ClaimCounts::new();
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        count(&mut counts, &line);
    }
    counts
}

fn count(counts: &mut ClaimCounts, line: &str) {
    let words = line.split_once(' ');
    let Some((name, event)) = words.filter(|(name, _)| name.starts_with("soak-")) else {
        return;
    };
    let (claims, resolutions) = counts.entry(name.to_owned()).or_default();
    match event.trim() {
        "claimed" => *claims += 1,
        event if event.contains(" after ") => *resolutions += 1,
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_and_resolutions_are_counted() {
        let mut counts = ClaimCounts::new();
        for line in [
            "soak-1     claimed",
            "soak-1     running",
            "soak-2     claimed",
            "soak-1     exception/canceled after 1.20 s",
            "claiming from soak/worker after all",
        ] {
            count(&mut counts, line);
        }
        let expected = [("soak-1".to_owned(), (1, 1)), ("soak-2".to_owned(), (1, 0))];
        assert_eq!(counts, ClaimCounts::from(expected));
    }
}
