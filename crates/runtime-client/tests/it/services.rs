//! Services without a port, with responses as recorded from a real Taskcluster.

use runtime_client::{Client, WorkerErrorReport, WorkerName};

use crate::support::{Reply, Server};
use runtime_core::purge_cache::PurgeCache as _;
use runtime_core::{Credentials, CredentialsWatch, Timestamp};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

fn worker() -> WorkerName {
    WorkerName {
        worker_pool_id: "proj/pool".to_owned(),
        worker_group: "g".to_owned(),
        worker_id: "w".to_owned(),
    }
}

async fn answering(body: Value) -> (Server, Client) {
    let server = Server::start(move |_, _| Reply::json(200, body.clone())).await;
    let credentials = CredentialsWatch::fixed(Some(Credentials::new("worker", "secret")));
    let client = server.deployment().client(credentials);
    (server, client)
}

fn registration() -> Value {
    json!({
        "expires": "2026-11-28T18:14:47.503Z", "workerConfig": { "a": 1 }, "secret": "next",
        "credentials": { "clientId": "worker/static", "accessToken": "s3cret", "certificate": "{}" },
    })
}

#[tokio::test]
async fn worker_is_registered_with_proof() {
    let (server, client) = answering(registration()).await;
    let proof = json!({ "staticSecret": "x" });
    let registration = client
        .register_worker("static", &worker(), &proof)
        .await
        .expect("success");
    assert_eq!(registration.credentials.client_id, "worker/static");
    assert_eq!(
        registration
            .secret
            .as_ref()
            .expect("a secret")
            .expose_secret(),
        "next"
    );
    assert!(!format!("{registration:?}").contains("s3cret"));
    let request = &server.requests()[0];
    assert_eq!(request.target, "/api/worker-manager/v1/worker/register");
    let expected = json!({
        "workerPoolId": "proj/pool", "providerId": "static", "workerGroup": "g", "workerId": "w",
        "workerIdentityProof": { "staticSecret": "x" },
    });
    assert_eq!(request.json(), expected);
}

#[tokio::test]
async fn reregistration_is_not_repeated() {
    let server = Server::start(|_, _| Reply::Hangup).await;
    let client = server.deployment().client(CredentialsWatch::fixed(None));
    let secret = SecretString::from("once");
    let error = client
        .reregister_worker(&worker(), &secret)
        .await
        .expect_err("no answer");
    assert!(error.is_transient());
    assert_eq!(server.requests().len(), 1);
    assert_eq!(server.requests()[0].json()["secret"], "once");
}

#[tokio::test]
async fn worker_identity_is_sent() {
    let (server, client) = answering(json!({ "terminate": true, "reason": "too many" })).await;
    let termination = client
        .should_worker_terminate(&worker())
        .await
        .expect("success");
    assert!(termination.terminate && termination.reason == "too many");
    let error = WorkerErrorReport {
        kind: "worker-error".to_owned(),
        title: "t".to_owned(),
        description: "d".to_owned(),
        extra: json!({}),
    };
    client
        .report_worker_error(&worker(), &error)
        .await
        .expect("success");
    client.remove_worker(&worker()).await.expect("success");
    let requests = server.requests();
    let targets: Vec<_> = requests
        .iter()
        .map(|request| (request.method.as_str(), &*request.target))
        .collect();
    assert_eq!(
        targets,
        [
            (
                "GET",
                "/api/worker-manager/v1/workers/proj%2Fpool/g/w/should-terminate"
            ),
            (
                "POST",
                "/api/worker-manager/v1/worker-pool-errors/proj%2Fpool"
            ),
            ("DELETE", "/api/worker-manager/v1/workers/proj%2Fpool/g/w"),
        ]
    );
    assert_eq!(requests[1].json()["workerId"], "w");
    assert_eq!(requests[1].json()["kind"], "worker-error");
}

#[tokio::test]
async fn secret_value_is_not_shown() {
    let (server, client) = answering(
        json!({ "secret": { "password": "s3cret" }, "expires": "2026-11-28T18:14:47.503Z" }),
    )
    .await;
    let secret = client.secret("project/a/b").await.expect("success");
    assert_eq!(secret.value.expose_secret(), r#"{"password":"s3cret"}"#);
    assert!(!format!("{secret:?}").contains("s3cret"));
    assert_eq!(
        server.requests()[0].target,
        "/api/secrets/v1/secret/project%2Fa%2Fb"
    );
}

#[tokio::test]
async fn purge_requests_have_since_parameter() {
    let request = json!({ "provisionerId": "p", "workerType": "w", "cacheName": "checkouts", "before": "2026-11-24T17:33:55.740Z" });
    let (server, client) = answering(json!({ "requests": [request] })).await;
    let since = "2026-11-24T17:00:00Z".parse().expect("a time");
    let requests = client
        .purge_requests("p/w", Some(since))
        .await
        .expect("success");
    assert_eq!((requests.len(), &*requests[0].cache_name), (1, "checkouts"));
    assert_eq!(
        server.requests()[0].target,
        "/api/purge-cache/v1/purge-cache/p%2Fw?since=2026-11-24T17%3A00%3A00Z"
    );
}

#[tokio::test]
async fn secret_dsn_is_returned() {
    let answer = json!({ "project": "p", "dsn": { "secret": "https://a:b@c/1", "public": "https://a@c/1" }, "expires": "2026-11-28T18:14:47.503Z" });
    let (_server, client) = answering(answer).await;
    let dsn = client.sentry_dsn("p").await.expect("success");
    assert_eq!(dsn.dsn.expose_secret(), "https://a:b@c/1");
}

#[tokio::test]
async fn expiry_may_be_out_of_range() {
    // The last year that RFC 3339 has, which stands for "never".
    let never = "9999-12-31T23:59:59.999Z";
    let mut body = registration();
    body["expires"] = json!(never);
    let (_server, client) = answering(body).await;
    let registered = client
        .register_worker("static", &worker(), &json!({}))
        .await;
    assert_eq!(registered.expect("success").expires, Timestamp::MAX);
    let (_server, client) = answering(json!({ "secret": {}, "expires": never })).await;
    let secret = client.secret("a").await.expect("success");
    assert_eq!(secret.expires, Timestamp::MAX);
    let dsn = json!({ "secret": "https://a:b@c/1" });
    let (_server, client) = answering(json!({ "dsn": dsn, "expires": never })).await;
    let dsn = client.sentry_dsn("p").await.expect("success");
    assert_eq!(dsn.expires, Timestamp::MAX);
}
