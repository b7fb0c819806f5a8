//! A task that runs until the test releases it.

use std::path::PathBuf;

use super::{TestBed, sh};

/// A task that waits for a file.
pub(crate) struct BlockedTask {
    pub(crate) task_id: String,
    pub(crate) started: PathBuf,
    release: PathBuf,
}

impl BlockedTask {
    pub(crate) fn create(bed: &TestBed) -> Self {
        let (started, release) = (bed.marker("started"), bed.marker("release"));
        let script = format!(
            "echo > {}; while ! test -e {}; do sleep 0.05; done; echo precious",
            started.display(),
            release.display()
        );
        Self {
            task_id: bed.create(sh(&script)),
            started,
            release,
        }
    }

    pub(crate) fn release(&self) {
        std::fs::write(&self.release, "").expect("access the folder");
    }

    pub(crate) async fn assert_completed_in_first_run(&self, bed: &TestBed, case: &str) {
        let status = bed.resolved(&self.task_id).await;
        let outcome = (status.state_and_reason(), status.runs.len());
        assert_eq!(outcome, ("completed".to_owned(), 1), "{case}");
        let log = bed.log(&self.task_id).await;
        assert!(log.contains("\nprecious\n"), "{case}: {log}");
    }
}
