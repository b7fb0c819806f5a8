//! A worker process, and the claims and resolutions that it prints.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::ChildStdout;
use tokio::task::JoinHandle;

use crate::flags::Soak;
use crate::process::Process;
use crate::queue::TASK_QUEUE_ID;
use crate::sample::Sample;
use crate::server::Server;

/// The numbers of claims and of resolutions of each task.
pub(crate) type ClaimCounts = BTreeMap<String, (u32, u32)>;

/// The counts of one process.
pub(crate) struct WorkerClaims {
    pub(crate) worker: String,
    pub(crate) was_killed: bool,
    pub(crate) counts: ClaimCounts,
}

/// A worker with its folder. Its process may be killed and started again.
pub(crate) struct Worker {
    /// Before its folder, which is removed after the process has ended.
    running: Option<(Process, JoinHandle<ClaimCounts>)>,
    pub(crate) id: String,
    program: PathBuf,
    log: PathBuf,
    /// The folder with the configuration file and the worker's data folder.
    folder: TempDir,
    /// The number of completed tasks that all its processes printed.
    pub(crate) completed: Arc<AtomicU64>,
    /// Whether the current process has printed that it claims.
    claims_tasks: Arc<AtomicBool>,
    /// The exits before the first claim, and their maximum: an outage of the server lasts for a few starts at most.
    early_exits: u32,
    max_early_exits: u32,
    /// The counts of the earlier processes.
    pub(crate) claims: Vec<WorkerClaims>,
}

impl Worker {
    /// Starts a worker that claims from a server.
    pub(crate) fn start(flags: &Soak, server: &Server, id: &str, capacity: usize) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("soak-").tempdir()?;
        let credentials = &server.credentials;
        let config = json!({
            "worker": {
                "rootUrl": server.root_url,
                "taskQueueId": TASK_QUEUE_ID,
                "workerGroup": "soak",
                "workerId": id,
                "capacity": capacity,
                "dataFolder": folder.path().join("data"),
                "credentials": {
                    "clientId": credentials.client_id,
                    "accessToken": credentials.secrets().next().unwrap_or_default(),
                },
            },
            "engine": {
                "isolation": flags.isolation(),
                "env": {"PATH": std::env::var("PATH").unwrap_or_default()},
            },
        });
        fs::write(folder.path().join("config.json"), config.to_string())?;
        let mut worker = Self {
            id: id.to_owned(),
            program: flags.worker.clone(),
            log: flags.out.join(format!("{id}.log")),
            folder,
            completed: Arc::default(),
            claims_tasks: Arc::default(),
            early_exits: 0,
            max_early_exits: if flags.crashes { 20 } else { 0 },
            running: None,
            claims: Vec::new(),
        };
        worker.restart()?;
        Ok(worker)
    }

    /// Starts the process again after [`kill`](Self::kill).
    pub(crate) fn restart(&mut self) -> Result<()> {
        let mut command = Process::command(&self.program);
        command
            .args(["run", "--config"])
            .arg(self.folder.path().join("config.json"));
        let (process, output) = Process::start(&mut command, &self.log)?;
        self.claims_tasks = Arc::default();
        let (completed, claims) = (Arc::clone(&self.completed), Arc::clone(&self.claims_tasks));
        let counts = tokio::spawn(count_claims(output, completed, claims));
        self.running = Some((process, counts));
        Ok(())
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Samples the process, unless it was killed.
    pub(crate) fn sample(&self, at: f64) -> Result<Option<Sample>> {
        let running = self.running.as_ref();
        let sample = running.map(|(process, _)| Sample::take(process.pid, &self.data(), at));
        sample
            .transpose()
            .with_context(|| format!("cannot sample {}", self.id))
    }

    /// Fails if the process has exited without having been killed. If the server is killed at times, a process that exits
    /// before its first claim is started again: it cannot reach the server, and relies on a service manager.
    pub(crate) fn check(&mut self) -> Result<()> {
        let process = self.running.as_mut().map(|(process, _)| process);
        if process.is_none_or(Process::is_running) {
            return Ok(());
        }
        let (id, log) = (&self.id, self.log.display());
        self.early_exits += 1;
        ensure!(
            !self.claims_tasks.load(Ordering::Relaxed) && self.early_exits <= self.max_early_exits,
            "{id} exited, see {log}"
        );
        self.restart()
    }

    pub(crate) fn is_killed(&self) -> bool {
        self.running.is_none()
    }

    pub(crate) async fn kill(&mut self) -> Result<()> {
        let Some((process, counts)) = self.running.take() else {
            return Ok(());
        };
        process.kill().await?;
        self.add_claims(counts.await?, true);
        Ok(())
    }

    /// Sends SIGTERM and returns the exit status.
    pub(crate) async fn stop(&mut self) -> Result<ExitStatus> {
        let (process, counts) = self.running.take().context("the worker is not running")?;
        let status = process.stop().await;
        let status = status.with_context(|| format!("cannot stop {}", self.id))?;
        self.add_claims(counts.await?, false);
        Ok(status)
    }

    fn add_claims(&mut self, counts: ClaimCounts, was_killed: bool) {
        self.claims.push(WorkerClaims {
            worker: self.id.clone(),
            was_killed,
            counts,
        });
    }
}

/// Counts the lines `NAME ID claimed: URL` and `NAME ID RESOLUTION after SECONDS s`.
async fn count_claims(
    output: ChildStdout,
    completed: Arc<AtomicU64>,
    claims_tasks: Arc<AtomicBool>,
) -> ClaimCounts {
    let mut counts = ClaimCounts::new();
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        count(&mut counts, &line);
        claims_tasks.fetch_or(line.starts_with("claiming from"), Ordering::Relaxed);
        completed.fetch_add(
            u64::from(line.contains(" completed after ")),
            Ordering::Relaxed,
        );
    }
    counts
}

fn is_resolution(line: &str) -> bool {
    line.contains(" after ")
}

fn count(counts: &mut ClaimCounts, line: &str) {
    let words = line.split_once(' ');
    let Some((name, event)) = words.filter(|(name, _)| name.starts_with("soak-")) else {
        return;
    };
    let (claims, resolutions) = counts.entry(name.to_owned()).or_default();
    if event.contains(" claimed: ") {
        *claims += 1;
    } else if is_resolution(event) {
        *resolutions += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_and_resolutions_are_counted() {
        let mut counts = ClaimCounts::new();
        for line in [
            "soak-1     RmzTkg claimed: http://127.0.0.1:8640/tasks/RmzTkg",
            "soak-1     RmzTkg running",
            "soak-2     8Qj614 claimed: http://127.0.0.1:8640/tasks/8Qj614",
            "soak-1     RmzTkg exception/canceled after 1.20 s",
            "claiming from soak/worker after all",
        ] {
            count(&mut counts, line);
        }
        let expected = [("soak-1".to_owned(), (1, 1)), ("soak-2".to_owned(), (1, 0))];
        assert_eq!(counts, ClaimCounts::from(expected));
    }
}
