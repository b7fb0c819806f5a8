//! A server starts with random stored state, or rejects it with the position of the damage.
//!
//! The records follow those of a real journal, with a valid checksum, so that the state is parsed as well.

#![no_main]

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use flate2::Crc;
use libfuzzer_sys::fuzz_target;
use runtime_taskcluster_embedded::{StartError, Taskcluster};
use serde_json::json;
use tokio::runtime::Runtime;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

/// The journal of a server with a pending and a resolved task, and a secret.
static JOURNAL: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    RUNTIME.block_on(async {
        let taskcluster = start(folder.path()).await.unwrap();
        for task_id in ["CFAKnfgiTSGBc9lIjR5CnQ", "PDHr1wCaQkKlYBqMCUoPuQ"] {
            taskcluster
                .create_task(json!({ "taskId": task_id }))
                .unwrap();
        }
        taskcluster.cancel_task("PDHr1wCaQkKlYBqMCUoPuQ").unwrap();
        taskcluster.set_secret("a", json!({ "word": "x" }));
        taskcluster.stop().await;
    });
    fs::read(folder.path().join("journal")).unwrap()
});

async fn start(folder: &Path) -> Result<Taskcluster, StartError> {
    Taskcluster::builder().data_dir(folder).start().await
}

async fn start_and_stop(folder: &Path) -> Result<(), StartError> {
    start(folder).await?.stop().await;
    Ok(())
}

fuzz_target!(|records: &[u8]| {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = [&JOURNAL, records].concat();
    // Without a line break at the end, the checksum is a part of the last record.
    let mut checksum = Crc::new();
    checksum.update(records);
    journal.extend(format!("commit\t{:08x}\n", checksum.sum()).into_bytes());
    fs::write(folder.path().join("journal"), &journal).unwrap();
    match RUNTIME.block_on(start_and_stop(folder.path())) {
        // The first start has removed what was incomplete, so that a second one reads all.
        Ok(()) => RUNTIME.block_on(start_and_stop(folder.path())).unwrap(),
        Err(StartError::Damaged { offset, .. }) => assert!(offset <= journal.len() as u64),
        Err(error) => panic!("{error}"),
    }
});
