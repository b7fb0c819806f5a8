//! A task that goes on for as long as a test wants.

use std::path::PathBuf;

use super::{Bench, sh, state};

/// Waits for a file.
pub(crate) struct Held {
    pub(crate) task_id: String,
    pub(crate) started: PathBuf,
    go: PathBuf,
}

impl Held {
    pub(crate) fn create(bench: &Bench) -> Self {
        let (started, go) = (bench.mark("started"), bench.mark("go"));
        let script = format!(
            "echo > {}; while ! test -e {}; do sleep 0.05; done; echo precious",
            started.display(),
            go.display()
        );
        Self {
            task_id: bench.create(sh(&script)),
            started,
            go,
        }
    }

    pub(crate) fn release(&self) {
        std::fs::write(&self.go, "").expect("the folder is ours");
    }

    pub(crate) async fn completes_in_its_first_run(&self, bench: &Bench, when: &str) {
        let status = bench.resolved(&self.task_id).await;
        let outcome = (state(&status), status.runs.len());
        assert_eq!(outcome, ("completed".to_owned(), 1), "{when}");
        let log = bench.log(&self.task_id).await;
        assert!(log.contains("\nprecious\n"), "{when}: {log}");
    }
}
