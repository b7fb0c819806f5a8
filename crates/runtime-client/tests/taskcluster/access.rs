//! Who may do what, and the other services.

use super::*;
use runtime_core::purge_cache::PurgeCache as _;

#[tokio::test]
async fn the_index_finds_what_was_inserted() {
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
    let found = world.client.find_task("a.b.c").await.expect("it is there");
    assert_eq!((found.task_id, &*found.namespace), (task_id, "a.b.c"));
}

#[tokio::test]
async fn wrong_credentials_are_refused_with_the_reason_and_the_request() {
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
async fn authorized_scopes_lower_the_power_of_a_client() {
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
async fn a_signed_url_lets_anybody_read_and_an_unsigned_one_nobody() {
    let world = World::new().await;
    let task = world.running(json!({})).await;
    let path = format!("/api/queue/v1/task/{}/status", task.run.task_id);
    let url = format!("{}{path}", world.deployment.root_url());
    let signed = world
        .client
        .authorizer()
        .sign_url(&url, Duration::from_secs(60))
        .expect("signs");
    let header = world
        .client
        .authorizer()
        .sign_header(&Method::GET, &url, None)
        .expect("signs")
        .expect("credentials");
    let plain = reqwest_free_get(&url, None).await;
    let by_bewit = reqwest_free_get(signed.expose_secret(), None).await;
    let by_header = reqwest_free_get(&url, Some(header.to_str().expect("text"))).await;
    assert!(
        by_bewit.contains("200 OK") && by_header.contains("200 OK"),
        "{by_bewit} {by_header}"
    );
    let broken = reqwest_free_get(&signed.expose_secret().replace("bewit=", "bewit=x"), None).await;
    assert!(broken.contains("401"), "{plain} {broken}");
}

/// A request that none of our code makes. Returns the status line.
async fn reqwest_free_get(url: &str, authorization: Option<&str>) -> String {
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
async fn other_services_answer_in_types() {
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
