//! Credentials, scopes and the other services.

use super::*;
use runtime_core::purge_cache::PurgeCache as _;

#[tokio::test]
async fn inserted_task_is_found() {
    let world = World::new().await;
    let task_id = world.create(json!({})).await;
    let expires = "2999-01-01T00:00:00Z".parse().expect("a time");
    let insert = async |rank| {
        world
            .client
            .insert_task("a.b.c", &task_id, rank, &json!({ "k": 1 }), expires)
            .await
    };
    assert_eq!(insert(3.0).await.expect("may insert").task_id, task_id);
    let found = world
        .client
        .find_task("a.b.c")
        .await
        .expect("the task is found");
    assert_eq!((found.task_id, &*found.namespace), (task_id, "a.b.c"));
}

#[tokio::test]
async fn wrong_credentials_are_refused() {
    let world = World::new().await;
    let wrong = Credentials::new(world.taskcluster.credentials().client_id, "wrong");
    let client = world
        .deployment
        .client(CredentialsWatch::fixed(Some(wrong)));
    let error = client
        .report_completed(&Run {
            task_id: TaskId::random(),
            run_id: 0,
        })
        .await
        .expect_err("refused");
    assert_eq!(error.status(), Some(401));
    assert!(
        error.to_string().contains("AuthenticationFailed"),
        "{error}"
    );
}

#[tokio::test]
async fn authorized_scopes_limit_a_client() {
    let world = World::new().await;
    let task_id = world.create(json!({})).await;
    let weak = world
        .client
        .with_authorized_scopes(&ScopeSet::new(["queue:get-task:*"]));
    assert_eq!(
        weak.cancel_task(&task_id)
            .await
            .expect_err("not authorized")
            .status(),
        Some(403)
    );
    world
        .client
        .cancel_task(&task_id)
        .await
        .expect("may do everything");
}

#[tokio::test]
async fn credentials_that_expire_during_a_call_are_replaced() {
    let world = World::new().await;
    let task = world.running(json!({})).await;
    let reclaim = task
        .client
        .reclaim_task(&task.run)
        .await
        .expect("still ours");
    task.credentials
        .set(Credentials::new("task-client/gone", "x"));
    let (client, run) = (task.client.clone(), task.run.clone());
    let report = tokio::spawn(async move { client.report_completed(&run).await });
    tokio::task::yield_now().await;
    task.credentials.set(reclaim.credentials);
    report
        .await
        .expect("no panic")
        .expect("the new credentials are good");
}

#[tokio::test]
async fn only_signed_url_can_be_read() {
    let world = World::new().await;
    let task = world.running(json!({ "scopes": ["a:b"] })).await;
    let path = format!("/api/queue/v1/task/{}/status", task.run.task_id);
    let url = format!("{}{path}", world.deployment.root_url());
    // As an engine or plugin does, through the port.
    let services = world.deployment.connect(task.credentials.watch());
    let authorizer = services
        .authorizer
        .with_authorized_scopes(&ScopeSet::new(["a:b"]));
    let signed = authorizer
        .sign_url(&url, Duration::from_secs(60))
        .expect("signs");
    let header = authorizer
        .sign_header(&Method::GET, &url, None)
        .expect("signs");
    let plain = raw_get(&url, None).await;
    let by_bewit = raw_get(signed.expose(), None).await;
    let by_header = raw_get(&url, Some(header.to_str().expect("text"))).await;
    assert!(
        by_bewit.contains("200 OK") && by_header.contains("200 OK"),
        "{by_bewit} {by_header}"
    );
    let broken = raw_get(&signed.expose().replace("bewit=", "bewit=x"), None).await;
    assert!(broken.contains("401"), "{plain} {broken}");
}

/// Sends a request over a plain socket and returns the status line.
async fn raw_get(url: &str, authorization: Option<&str>) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let rest = url.strip_prefix("http://").expect("plain HTTP");
    let (host, path) = rest.split_once('/').expect("a path");
    let authorization = authorization
        .map(|value| format!("authorization: {value}\r\n"))
        .unwrap_or_default();
    let request =
        format!("GET /{path} HTTP/1.1\r\nhost: {host}\r\n{authorization}connection: close\r\n\r\n");
    let mut stream = tokio::net::TcpStream::connect(host)
        .await
        .expect("connects");
    stream.write_all(request.as_bytes()).await.expect("writes");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("reads");
    answer.lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn other_services_respond() {
    let world = World::new().await;
    let scopes = world.client.current_scopes().await.expect("may ask");
    assert!(scopes.satisfies("queue:create-task:anything"));
    let token = world
        .client
        .websocktunnel_token("audience", "client.1")
        .await
        .expect("may ask");
    assert_eq!(
        (&*token.wst_client, &*token.wst_audience),
        ("client.1", "audience")
    );
    assert!(
        world
            .client
            .purge_requests(QUEUE, None)
            .await
            .expect("may ask")
            .is_empty()
    );
}
