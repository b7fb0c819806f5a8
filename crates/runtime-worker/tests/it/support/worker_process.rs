//! A worker in a separate process: this test program with a variable that makes it a worker.

use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use runtime_core::{LifeCycleTracker, Monitor, ShutdownManager};
use runtime_gc::ResourceTracker;
use runtime_worker::ShutdownSignals;
use rustix::process::{Pid, Signal, kill_process};

use super::{WorkerSettings, with_timeout};

/// The variable with the `WorkerSettings` as JSON.
const SETTINGS_VAR: &str = "RUNTIME_WORKER_TEST_SETTINGS";

/// A worker process. It is killed on drop.
pub(crate) struct WorkerProcess(Child);

impl WorkerSettings {
    /// Starts the default worker, which stops on signals.
    pub(crate) fn start_process(&self) -> WorkerProcess {
        self.spawn(Command::new(this_program()))
    }

    /// Starts the default worker as a shell does with `&`: with ignored signals, which its children inherit, and with an
    /// additional open file.
    pub(crate) fn start_background_process(&self) -> WorkerProcess {
        let mut shell = Command::new("sh");
        shell.args([
            "-c",
            "trap '' INT QUIT; exec 7</dev/null; exec \"$0\" \"$@\"",
        ]);
        shell.arg(this_program());
        self.spawn(shell)
    }

    fn spawn(&self, mut program: Command) -> WorkerProcess {
        let settings = serde_json::to_string(self).expect("settings serialize");
        let child = program
            .args(["--exact", "worker_processes::worker_process", "--nocapture"])
            .env(SETTINGS_VAR, settings)
            .stdout(Stdio::null())
            .spawn();
        WorkerProcess(child.expect("start this program"))
    }
}

pub(super) fn this_program() -> std::path::PathBuf {
    std::env::current_exe().expect("the path of this program")
}

/// Runs the worker in a process that was started for it. Returns at once in other processes.
pub(crate) async fn run_as_worker_process() {
    let Ok(settings) = std::env::var(SETTINGS_VAR) else {
        return;
    };
    let settings: WorkerSettings = serde_json::from_str(&settings).expect("settings of this test");
    let stop = LifeCycleTracker::new();
    let signals = ShutdownSignals::new().expect("install signal handlers");
    let _manager = ShutdownManager::new(Arc::new(stop.clone()), Monitor::null())
        .source(signals)
        .start();
    let mut worker = settings.worker();
    if settings.mounts {
        let mounts = settings.mounts().open(ResourceTracker::detached()).await;
        worker = worker.plugin(mounts.expect("access the folder"));
    }
    let worker = worker.build().expect("a valid worker");
    worker.run_until(&stop).await;
}

impl WorkerProcess {
    pub(crate) fn kill(&mut self) {
        self.0.kill().expect("a running process");
        self.0.wait().expect("wait for the process");
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).expect("a running process");
    }

    /// Waits until the process has exited. A timeout fails the test and kills the process.
    pub(crate) async fn wait(mut self) -> ExitStatus {
        with_timeout(async {
            loop {
                if let Some(status) = self.0.try_wait().expect("a child process") {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await
    }
}

impl Drop for WorkerProcess {
    fn drop(&mut self) {
        // Both fail only if the process has already exited.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
