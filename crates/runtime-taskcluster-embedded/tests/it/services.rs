//! Index, purge-cache, secrets, worker-manager and the clock.

use std::time::Duration;

use crate::support::{Client, create, http, later, start};
use runtime_core::clock::Clock as _;
use runtime_taskcluster_embedded::{StartError, Taskcluster};
use serde_json::json;

const HOUR: Duration = Duration::from_secs(60 * 60);

#[tokio::test]
async fn completed_task_is_indexed_by_routes() {
    let (taskcluster, client) = start().await;
    let changes =
        json!({ "routes": ["index.a.b.latest", "other"], "extra": { "index": { "rank": 5 } } });
    let task_id = create(&taskcluster, changes);
    assert_eq!(
        client.get("/api/index/v1/task/a.b.latest").await.status,
        404
    );
    let (_, worker) = client.claim_one().await;
    let reference = json!({
        "storageType": "reference", "contentType": "text/plain",
        "url": "https://example.com/", "expires": later(&taskcluster, HOUR),
    });
    worker.artifact(&task_id, "public/a", reference).await;
    worker.run(&task_id, 0, "completed", json!({})).await;

    let found = client.get("/api/index/v1/task/a.b.latest").await;
    assert_eq!(
        (&found.body["taskId"], &found.body["rank"]),
        (&json!(task_id), &json!(5))
    );
    let artifact = client
        .get("/api/index/v1/task/a.b.latest/artifacts/public/a")
        .await;
    assert_eq!(
        (artifact.status, &artifact.headers["location"]),
        (303, &"https://example.com/".parse().unwrap())
    );
    assert_eq!(
        client.get("/api/index/v1/tasks/a.b").await.body["tasks"][0]["namespace"],
        "a.b.latest"
    );
    assert_eq!(
        client.get("/api/index/v1/namespaces/a").await.body["namespaces"][0]["name"],
        "b"
    );
}

#[tokio::test]
async fn higher_rank_stays_until_it_expires() {
    let (taskcluster, client) = start().await;
    let first = create(&taskcluster, json!({}));
    let second = create(&taskcluster, json!({}));
    let entry = |task_id: &str, rank: u32| json!({ "taskId": task_id, "rank": rank, "data": {}, "expires": later(&taskcluster, HOUR) });
    client.put("/api/index/v1/task/a", entry(&first, 3)).await;
    let kept = client.put("/api/index/v1/task/a", entry(&second, 1)).await;
    assert_eq!((kept.status, &kept.body["taskId"]), (200, &json!(first)));
    client.put("/api/index/v1/task/a", entry(&second, 3)).await;
    assert_eq!(
        client.get("/api/index/v1/task/a").await.body["taskId"],
        second
    );
    taskcluster.advance(HOUR);
    assert_eq!(client.get("/api/index/v1/task/a").await.status, 404);
}

#[tokio::test]
async fn purge_requests_are_listed_since_a_time() {
    let (taskcluster, client) = start().await;
    let path = "/api/purge-cache/v1/purge-cache/test%2Flinux";
    let purged = client.post(path, json!({ "cacheName": "one" })).await;
    assert_eq!(purged.status, 204);
    taskcluster.advance(HOUR);
    let since = later(&taskcluster, Duration::ZERO);
    taskcluster.purge_cache("test/linux", "two");
    taskcluster.purge_cache("test/other", "three");
    let all = client.get(path).await.body;
    assert_eq!(all["requests"].as_array().unwrap().len(), 2);
    let new = client.get(&format!("{path}?since={since}")).await.body;
    assert_eq!(new["requests"][0]["cacheName"], "two");
    assert_eq!(new["requests"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn secret_is_readable_until_it_expires() {
    let (taskcluster, client) = start().await;
    let path = "/api/secrets/v1/secret/project%2Fa";
    let secret = json!({ "secret": { "k": "v" }, "expires": later(&taskcluster, HOUR) });
    assert_eq!(client.put(path, secret).await.status, 200);
    assert_eq!(client.get(path).await.body["secret"], json!({ "k": "v" }));
    taskcluster.advance(HOUR + Duration::from_secs(1));
    assert_eq!(client.get(path).await.code(), "ResourceExpired");
    assert_eq!(client.delete(path).await.status, 200);
    assert_eq!(client.get(path).await.code(), "ResourceNotFound");
}

#[tokio::test]
async fn static_worker_registers_and_reregisters() {
    let (taskcluster, _) = start().await;
    taskcluster.add_static_worker("test/linux", "group", "worker", "proof");
    let anybody = Client::anonymous(&taskcluster);
    let register = |proof: &str| {
        json!({
            "workerPoolId": "test/linux", "providerId": "static", "workerGroup": "group",
            "workerId": "worker", "workerIdentityProof": { "staticSecret": proof },
        })
    };
    let path = "/api/worker-manager/v1/worker/register";
    assert_eq!(anybody.post(path, register("wrong")).await.status, 400);
    let registered = anybody.post(path, register("proof")).await.body;
    let worker = anybody.with_credentials(&registered["credentials"]);

    let again = |secret: &serde_json::Value| {
        json!({
            "workerPoolId": "test/linux", "workerGroup": "group", "workerId": "worker", "secret": secret,
        })
    };
    let path = "/api/worker-manager/v1/worker/reregister";
    let renewed = worker.post(path, again(&registered["secret"])).await;
    assert_eq!(renewed.status, 200);
    let used = worker.post(path, again(&registered["secret"])).await;
    assert_eq!(used.status, 400, "a secret is good for one time");

    let task_id = create(&taskcluster, json!({}));
    let (claim, _) = worker.claim_one().await;
    assert_eq!(claim["status"]["taskId"], task_id);
}

#[tokio::test]
async fn unknown_worker_cannot_register() {
    let (taskcluster, _) = start().await;
    taskcluster.add_static_worker("test/linux", "group", "worker", "proof");
    let register = |pool: &str, provider: &str, id: &str| {
        json!({
            "workerPoolId": pool, "providerId": provider, "workerGroup": "group",
            "workerId": id, "workerIdentityProof": { "staticSecret": "hush-hush" },
        })
    };
    let anybody = Client::anonymous(&taskcluster);
    for (body, status, message) in [
        (
            register("test/no", "static", "worker"),
            404,
            "Worker pool test/no does not exist",
        ),
        (
            register("test/linux", "google", "worker"),
            404,
            "Provider google does not exist",
        ),
        (
            register("test/linux", "static", "other"),
            404,
            "Worker group/other in worker pool test/linux does not exist",
        ),
        (
            register("test/linux", "static", "worker"),
            400,
            "Could not validate",
        ),
        (
            json!({ "workerIdentityProof": { "staticSecret": "hush-hush" } }),
            400,
            "Schema",
        ),
    ] {
        let response = anybody
            .post("/api/worker-manager/v1/worker/register", body)
            .await;
        assert_eq!(response.status, status, "{:?}", response.body);
        assert!(response.message().contains(message), "{:?}", response.body);
        assert_eq!(response.body["requestInfo"]["payload"], "(OMITTED)");
        assert!(!response.body.to_string().contains("hush-hush"));
    }
}

#[tokio::test]
async fn refused_secret_is_not_repeated() {
    let (taskcluster, _) = start().await;
    let body = json!({ "secret": { "password": "hush-hush" }, "expires": "soon" });
    let path = "/api/secrets/v1/secret/a";
    let response = Client::root(&taskcluster).put(path, body).await;
    let payload = json!({ "secret": "(OMITTED)", "expires": "soon" });
    assert_eq!(response.body["requestInfo"]["payload"], payload);
    assert!(!response.body.to_string().contains("hush-hush"));
}

#[tokio::test]
async fn worker_reports_errors_and_terminates() {
    let (taskcluster, client) = start().await;
    taskcluster.add_static_worker("test/linux", "group", "worker", "proof");
    let base = "/api/worker-manager/v1";
    let path = format!("{base}/workers/test%2Flinux/group/worker/should-terminate");
    assert_eq!(client.get(&path).await.body["terminate"], false);
    taskcluster
        .terminate_worker("test/linux", "group", "worker", "too many")
        .unwrap();
    assert_eq!(
        client.get(&path).await.body,
        json!({ "terminate": true, "reason": "too many" })
    );
    assert!(
        taskcluster
            .terminate_worker("test/linux", "group", "other", "x")
            .is_err()
    );

    let error = json!({
        "workerGroup": "group", "workerId": "worker", "kind": "worker-error",
        "title": "t", "description": "d", "extra": {},
    });
    client
        .post(&format!("{base}/worker-pool-errors/test%2Flinux"), error)
        .await;
    assert_eq!(
        taskcluster.worker_errors("test/linux")[0]["extra"]["workerId"],
        "worker"
    );
}

#[tokio::test]
async fn responses_have_request_and_trace_ids() {
    let (taskcluster, _) = start().await;
    let url = format!("{}/api/queue/v1/ping", taskcluster.root_url());
    let request = http().get(url).header("x-taskcluster-trace-id", "abc");
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()["x-for-trace-id"], "abc");
    assert!(response.headers().contains_key("x-for-request-id"));
}

#[tokio::test]
async fn advance_wakes_sleepers() {
    let (taskcluster, _) = start().await;
    let clock = taskcluster.clock();
    let deadline = clock.now().checked_add(HOUR).unwrap();
    let sleeper = tokio::spawn(async move { clock.sleep_until(deadline).await });
    tokio::task::yield_now().await;
    assert!(!sleeper.is_finished());
    taskcluster.advance(HOUR);
    sleeper.await.unwrap();
}

#[tokio::test]
async fn taken_port_is_a_start_error() {
    let (taskcluster, _) = start().await;
    let port = taskcluster
        .root_url()
        .rsplit(':')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    let error = Taskcluster::builder().port(port).start().await.unwrap_err();
    assert!(matches!(error, StartError::Listen { .. }));
    assert!(error.to_string().contains(&port.to_string()));
}
