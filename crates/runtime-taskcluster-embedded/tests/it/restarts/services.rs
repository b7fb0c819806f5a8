//! The state of the services other than the queue.

use runtime_taskcluster_embedded::Taskcluster;
use serde_json::{Value, json};

use super::{folder, moved, restart, start};
use crate::support::artifacts::HOUR;
use crate::support::{Client, QUEUE, later};

/// Calls of other services, and reads whose response stays the same.
fn calls(taskcluster: &Taskcluster) -> Vec<(&'static str, &'static str, Value)> {
    let expires = later(taskcluster, HOUR);
    let task = "CFAKnfgiTSGBc9lIjR5CnQ";
    let pool = json!({
        "providerId": "static", "description": "d", "config": { "workerConfig": { "a": 1 } },
        "owner": "a@example.com", "emailOnError": false,
    });
    let role = json!({ "description": "d", "scopes": ["c"] });
    let client = json!({ "description": "d", "scopes": ["a:*"], "expires": expires });
    let object = json!({ "projectId": "p", "uploadId": task });
    let mut upload = object.clone();
    upload["expires"] = json!(expires);
    upload["proposedUploadMethods"] = json!({});
    vec![
        (
            "PUT",
            "/api/index/v1/task/a.b",
            json!({ "taskId": task, "rank": 3, "data": {}, "expires": expires }),
        ),
        ("GET", "/api/index/v1/task/a.b", Value::Null),
        (
            "PUT",
            "/api/secrets/v1/secret/project%2Fa",
            json!({ "secret": { "k": "v" }, "expires": expires }),
        ),
        ("GET", "/api/secrets/v1/secret/project%2Fa", Value::Null),
        (
            "POST",
            "/api/purge-cache/v1/purge-cache/test%2Flinux",
            json!({ "cacheName": "one" }),
        ),
        ("GET", "/api/purge-cache/v1/purge-cache/list", Value::Null),
        ("PUT", "/api/auth/v1/clients/some%2Fclient", client),
        (
            "POST",
            "/api/auth/v1/clients/some%2Fclient/disable",
            json!({}),
        ),
        ("GET", "/api/auth/v1/clients/", Value::Null),
        ("PUT", "/api/auth/v1/roles/one", role),
        ("DELETE", "/api/auth/v1/roles/anonymous", Value::Null),
        ("GET", "/api/auth/v1/roleids/", Value::Null),
        (
            "PUT",
            "/api/worker-manager/v1/worker-pool/test%2Flinux",
            pool,
        ),
        (
            "GET",
            "/api/worker-manager/v1/worker-pool/test%2Flinux",
            Value::Null,
        ),
        (
            "PUT",
            "/api/worker-manager/v1/workers/test%2Flinux/g/w",
            json!({ "expires": expires, "providerInfo": { "staticSecret": "proof" } }),
        ),
        (
            "GET",
            "/api/worker-manager/v1/workers/test%2Flinux/g/w",
            Value::Null,
        ),
        (
            "PUT",
            "/api/queue/v1/provisioners/test/worker-types/linux/workers/g/w",
            json!({ "quarantineUntil": expires }),
        ),
        (
            "GET",
            "/api/queue/v1/provisioners/test/worker-types/linux/workers/g/w",
            Value::Null,
        ),
        ("PUT", "/api/object/v1/upload/thing", upload),
        ("POST", "/api/object/v1/finish-upload/thing", object),
        ("GET", "/api/object/v1/metadata/thing", Value::Null),
    ]
}

#[tokio::test]
async fn other_services_keep_their_state() {
    let folder = folder();
    let taskcluster = start(&folder).await;
    let (client, calls) = (Client::root(&taskcluster), calls(&taskcluster));
    for (verb, path, body) in calls.iter().filter(|(verb, ..)| *verb != "GET") {
        let body = (!body.is_null()).then(|| body.clone());
        let verb = verb.parse().unwrap();
        let response = client.send(verb, path, body, Default::default()).await;
        assert!(response.status < 300, "{path}: {:?}", response.body);
    }
    let reads = calls.iter().filter(|(verb, ..)| *verb == "GET");
    let mut before = Vec::new();
    for (_, path, _) in reads.clone() {
        let response = client.get(path).await;
        assert_eq!(response.status, 200, "{path}: {:?}", response.body);
        before.push(response.body);
    }
    let taskcluster = restart(taskcluster, &folder).await;
    // The root client has the same token.
    let client = moved(&client, &taskcluster);
    for ((_, path, _), before) in reads.zip(before) {
        assert_eq!(client.get(path).await.body, before, "{path}");
    }
}

#[tokio::test]
async fn registration_secret_survives() {
    let folder = folder();
    let taskcluster = start(&folder).await;
    taskcluster.add_static_worker(QUEUE, "group", "worker", "proof");
    let mut worker = json!({ "workerPoolId": QUEUE, "workerGroup": "group", "workerId": "worker" });
    let mut proof = worker.clone();
    proof["providerId"] = json!("static");
    proof["workerIdentityProof"] = json!({ "staticSecret": "proof" });
    let path = "/api/worker-manager/v1/worker/register";
    let registered = Client::anonymous(&taskcluster).post(path, proof).await.body;
    let client = Client::anonymous(&taskcluster).with_credentials(&registered["credentials"]);
    let taskcluster = restart(taskcluster, &folder).await;
    worker["secret"] = registered["secret"].clone();
    let path = "/api/worker-manager/v1/worker/reregister";
    let again = moved(&client, &taskcluster).post(path, worker).await;
    assert_eq!(again.status, 200, "{:?}", again.body);
}
