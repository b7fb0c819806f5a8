//! Deeply nested values: what is accepted can be read after a restart.

use serde_json::{Value, json};

use super::{folder, moved, restart, start};
use crate::support::{Client, QUEUE, create};

/// Returns an object with this number of nested levels.
fn nested(levels: usize) -> Value {
    (1..levels).fold(json!({}), |inner, _| json!({ "a": inner }))
}

/// The levels of a value in a payload of at most 100.
const DEEPEST: usize = 99;

#[tokio::test]
async fn deep_task_is_read_after_a_restart() {
    let folder = folder();
    let taskcluster = start(&folder).await;
    let pending = create(&taskcluster, json!({ "payload": nested(DEEPEST) }));
    let resolved = create(&taskcluster, json!({ "extra": nested(DEEPEST) }));
    taskcluster.cancel_task(&resolved).unwrap();
    let taskcluster = restart(taskcluster, &folder).await;
    assert_eq!(
        taskcluster.task(&pending).unwrap()["payload"],
        nested(DEEPEST)
    );
    assert_eq!(
        taskcluster.task(&resolved).unwrap()["extra"],
        nested(DEEPEST)
    );
}

#[tokio::test]
async fn too_deep_task_is_refused() {
    let folder = folder();
    let taskcluster = start(&folder).await;
    for name in ["payload", "extra"] {
        for levels in [DEEPEST + 1, 126, 1000] {
            let task = json!({ "taskQueueId": QUEUE, name: nested(levels) });
            let error = taskcluster.create_task(task).unwrap_err();
            assert!(error.message.contains("nested levels"), "{error}");
        }
    }
    restart(taskcluster, &folder).await;
}

#[tokio::test]
async fn pools_and_errors_survive_any_accepted_depth() {
    let folder = folder();
    let taskcluster = start(&folder).await;
    let client = Client::root(&taskcluster);
    let pool = |levels| {
        json!({
            "providerId": "static", "description": "d", "config": nested(levels),
            "owner": "a@example.com", "emailOnError": false,
        })
    };
    let report = |levels| {
        json!({
            "workerGroup": "g", "workerId": "w", "kind": "k", "title": "t", "description": "d",
            "extra": nested(levels),
        })
    };
    let pool_path = "/api/worker-manager/v1/worker-pool/test%2Flinux";
    let errors_path = "/api/worker-manager/v1/worker-pool-errors/test%2Flinux";
    for levels in [DEEPEST + 1, 126] {
        assert_eq!(client.put(pool_path, pool(levels)).await.status, 400);
    }
    assert_eq!(client.put(pool_path, pool(DEEPEST)).await.status, 200);
    for levels in [DEEPEST + 1, 126] {
        assert_eq!(client.post(errors_path, report(levels)).await.status, 400);
    }
    assert_eq!(client.post(errors_path, report(DEEPEST)).await.status, 200);
    let taskcluster = restart(taskcluster, &folder).await;
    let found = moved(&client, &taskcluster).get(pool_path).await.body;
    assert_eq!(found["config"], nested(DEEPEST));
    assert_eq!(taskcluster.worker_errors("test/linux").len(), 1);
}

#[tokio::test]
#[should_panic(expected = "too many nested levels")]
async fn too_deep_secret_panics() {
    let taskcluster = start(folder()).await;
    taskcluster.set_secret("a", nested(101));
}
