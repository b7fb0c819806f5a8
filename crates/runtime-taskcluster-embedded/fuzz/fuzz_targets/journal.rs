//! A server starts with random stored state, or rejects it with the position of the damage.

#![no_main]

use std::fs;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use runtime_taskcluster_embedded::{StartError, Taskcluster};
use tokio::runtime::Runtime;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

fuzz_target!(|records: &[u8]| {
    let folder = tempfile::tempdir().unwrap();
    let header = b"embedded Taskcluster journal 1\n".as_slice();
    fs::write(folder.path().join("journal"), [header, records].concat()).unwrap();
    let start = || async {
        let taskcluster = Taskcluster::builder().data_dir(folder.path()).start().await?;
        taskcluster.stop().await;
        Ok(())
    };
    match RUNTIME.block_on(start()) {
        // The first start has removed what was incomplete, so that a second one reads all.
        Ok(()) => RUNTIME.block_on(start()).unwrap(),
        Err(StartError::Damaged { offset, .. }) => assert!(offset <= (header.len() + records.len()) as u64),
        Err(error) => panic!("{error}"),
    }
});
