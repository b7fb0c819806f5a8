//! Tests that have a process to themselves, and what such a process holds.

use std::process::Command;
use std::time::Duration;

use super::child::this_program;

/// Tells a process that it is one test's own.
const ALONE: &str = "RUNTIME_WORKER_TEST_ALONE";

/// Reports whether this process belongs to one test, which `run_alone` started.
pub(crate) fn is_alone() -> bool {
    std::env::var_os(ALONE).is_some()
}

/// Runs a test in a process of its own, so that whatever is open there is the test's.
pub(crate) async fn run_alone(test: &str) {
    let mut program = Command::new(this_program());
    program
        .args(["--exact", test, "--nocapture"])
        .env(ALONE, "");
    let ended = tokio::task::spawn_blocking(move || program.output()).await;
    let output = ended.expect("no panic").expect("this program starts");
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert!(
        text.contains("1 passed"),
        "there is no test `{test}`: {text}"
    );
}

/// What a process holds while nothing is to be done: what its open files are, and how many tasks of the runtime
/// there are.
#[derive(Clone, Debug)]
pub(crate) struct Holdings {
    files: Vec<String>,
    tasks: usize,
}

impl Holdings {
    pub(crate) fn now() -> Self {
        Self {
            files: open_files(),
            tasks: tokio::runtime::Handle::current()
                .metrics()
                .num_alive_tasks(),
        }
    }

    /// Waits until no more is held than now, which what was dropped may take a moment for.
    pub(crate) async fn come_back(&self) {
        for _ in 0..6000 {
            let now = Self::now();
            if now.files.len() <= self.files.len() && now.tasks <= self.tasks {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("it held {self:#?} and holds {:#?}", Self::now());
    }
}

/// What each descriptor stands for; nothing is known of them elsewhere than on Linux.
fn open_files() -> Vec<String> {
    let descriptors = std::fs::read_dir("/proc/self/fd").into_iter().flatten();
    // The one with which this looks is closed by the time that its target is read.
    let targets = descriptors
        .flatten()
        .filter_map(|entry| std::fs::read_link(entry.path()).ok());
    targets.map(|target| target.display().to_string()).collect()
}
