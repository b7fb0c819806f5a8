//! Random task definitions are stored or rejected and do not break the server.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use runtime_taskcluster_embedded::Taskcluster;
use tokio::runtime::Runtime;

static QUEUE: LazyLock<(Runtime, Taskcluster)> = LazyLock::new(|| {
    let runtime = Runtime::new().unwrap();
    let taskcluster = runtime.block_on(Taskcluster::start()).unwrap();
    (runtime, taskcluster)
});

fuzz_target!(|json: &[u8]| {
    let Ok(definition) = serde_json::from_slice(json) else {
        return;
    };
    let (_, taskcluster) = &*QUEUE;
    if let Ok(task_id) = taskcluster.create_task(definition) {
        let created = taskcluster.task(&task_id).unwrap();
        // The definition that workers get is valid and equal to the created one.
        let mut again = created.clone();
        again["taskId"] = task_id.clone().into();
        assert_eq!(taskcluster.create_task(again).unwrap(), task_id);
    }
});
