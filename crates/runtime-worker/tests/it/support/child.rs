//! A worker in a process of its own: this test program, told by a variable to be one.

use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use runtime_core::{LifeCycleTracker, Monitor, ShutdownManager};
use runtime_gc::ResourceTracker;
use runtime_worker::Signals;
use rustix::process::{Pid, Signal, kill_process};

use super::{Settings, within_a_minute};

/// Where the process finds the queue, its credentials and its folder.
const ROLE: &str = "RUNTIME_WORKER_TEST_SETTINGS";

/// Is killed when it is dropped.
pub(crate) struct WorkerProcess(Child);

impl Settings {
    /// Starts the worker of most tests, which stops on signals.
    pub(crate) fn start_process(&self) -> WorkerProcess {
        self.spawn(Command::new(this_program()))
    }

    /// The same, started as a shell does with `&`: with signals that it, and so all that it starts, ignores,
    /// and with a file that is open.
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
            .args(["--exact", "processes::worker_process", "--nocapture"])
            .env(ROLE, settings)
            .stdout(Stdio::null())
            .spawn();
        WorkerProcess(child.expect("this program starts"))
    }
}

pub(super) fn this_program() -> std::path::PathBuf {
    std::env::current_exe().expect("this program has a path")
}

/// Is the worker, in the process that was started for it; elsewhere nothing happens.
pub(crate) async fn be_the_worker() {
    let Ok(settings) = std::env::var(ROLE) else {
        return;
    };
    let settings: Settings = serde_json::from_str(&settings).expect("settings of this test");
    let stop = LifeCycleTracker::new();
    let signals = Signals::new().expect("signals can be heard");
    let _listening = ShutdownManager::new(Arc::new(stop.clone()), Monitor::null())
        .source(signals)
        .start();
    let mut worker = settings.worker();
    if settings.mounts {
        let mounts = settings.mounts().open(ResourceTracker::detached()).await;
        worker = worker.plugin(mounts.expect("the folder is ours"));
    }
    let worker = worker.build().expect("the parts fit together");
    worker.run_until(&stop).await;
}

impl WorkerProcess {
    pub(crate) fn kill(&mut self) {
        self.0.kill().expect("it still runs");
        self.0.wait().expect("it ends");
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).expect("it still runs");
    }

    /// Waits for the end. One that does not come is a failure, after which the process is killed.
    pub(crate) async fn ended(mut self) -> ExitStatus {
        within_a_minute(async {
            loop {
                if let Some(status) = self.0.try_wait().expect("it is our child") {
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
        // Both fail only if it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
