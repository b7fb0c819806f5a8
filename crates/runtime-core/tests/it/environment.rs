//! The environment of a worker.

use std::sync::Arc;

use runtime_core::{Environment, TemporaryStorage, WorkerIdentity};

#[test]
fn clones_share_the_identity() {
    let folder = tempfile::tempdir().expect("a folder");
    let identity = WorkerIdentity {
        root_url: "https://tc.example.com".to_owned(),
        task_queue_id: "my-project/linux".to_owned(),
        worker_group: "eu-west".to_owned(),
        worker_id: "worker-1".to_owned(),
    };
    let storage = TemporaryStorage::open(folder.path()).expect("access the folder");
    let environment = Environment::builder(identity, storage).build();
    let clone = environment.clone();
    assert!(Arc::ptr_eq(&environment.identity, &clone.identity));
    assert_eq!(clone.identity.worker_id, "worker-1");
}
