//! Tests that run in a separate process, and the resources that the process holds.

use std::process::Command;
use std::time::Duration;

use super::worker_process::this_program;

/// Set in the process of an isolated test.
const ISOLATED_VAR: &str = "RUNTIME_WORKER_TEST_ALONE";

/// Returns whether `run_isolated` started this process.
pub(crate) fn is_isolated() -> bool {
    std::env::var_os(ISOLATED_VAR).is_some()
}

/// Runs a test in a separate process, where no other test opens files.
pub(crate) async fn run_isolated(test: &str) {
    let mut program = Command::new(this_program());
    program
        .args(["--exact", test, "--nocapture"])
        .env(ISOLATED_VAR, "");
    let output = tokio::task::spawn_blocking(move || program.output()).await;
    let output = output.expect("no panic").expect("start this program");
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("1 passed"), "unknown test `{test}`: {text}");
}

/// The open files and the number of tokio tasks of an idle process.
#[derive(Clone, Debug)]
pub(crate) struct HeldResources {
    files: Vec<String>,
    tasks: usize,
}

impl HeldResources {
    pub(crate) fn now() -> Self {
        Self {
            files: open_files(),
            tasks: tokio::runtime::Handle::current()
                .metrics()
                .num_alive_tasks(),
        }
    }

    /// Waits until the process holds no more than this: dropped resources may be released with a delay.
    pub(crate) async fn wait_until_released(&self) {
        for _ in 0..6000 {
            let now = Self::now();
            if now.files.len() <= self.files.len() && now.tasks <= self.tasks {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("leaked: {:#?}, expected at most {self:#?}", Self::now());
    }
}

/// Returns the target of each file descriptor, on Linux.
fn open_files() -> Vec<String> {
    let descriptors = std::fs::read_dir("/proc/self/fd").into_iter().flatten();
    // The descriptor of this listing has no target any more when it is read.
    let targets = descriptors
        .flatten()
        .filter_map(|entry| std::fs::read_link(entry.path()).ok());
    targets.map(|target| target.display().to_string()).collect()
}
