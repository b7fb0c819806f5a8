//! A local clock that differs from the clock of the services.

use std::time::Duration;

use runtime_core::queue::Queue as _;
use runtime_core::{
    Credentials, CredentialsCell, CredentialsWatch, Deployment as _, TaskId, Timestamp,
};
use serde_json::json;

use crate::support::{ReceivedRequest, Reply, Server};

/// The largest difference that a service accepts.
const MAX_SKEW: Duration = Duration::from_secs(15 * 60);

/// Returns the time of a signature, in seconds since 1970.
fn signed_at(header: &str) -> i64 {
    let (_, rest) = header.split_once("ts=\"").expect("a signed request");
    let (seconds, _) = rest.split_once('"').expect("a quoted number");
    seconds.parse().expect("a number")
}

/// Returns the status of a task, at the time `now` of the services.
fn reply(request: &ReceivedRequest, now: Timestamp) -> Reply {
    let skew = signed_at(request.header("authorization")).abs_diff(now.as_second());
    let reply = if skew > MAX_SKEW.as_secs() {
        Reply::text(401, "Unauthorized: Stale timestamp")
    } else {
        let status = json!({ "taskId": TaskId::random(), "state": "running", "retriesLeft": 1 });
        Reply::json(200, json!({ "status": status }))
    };
    let date = now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    reply.with("date", &date)
}

#[tokio::test]
async fn requests_have_the_time_of_the_services() {
    for hours in [-24, -1, 1, 24] {
        let offset = jiff::SignedDuration::from_hours(hours);
        let server =
            Server::start(move |_, request| reply(request, Timestamp::now() + offset)).await;
        let credentials = Credentials::new("worker", "secret");
        let deployment = server.deployment();
        let client = deployment.client(CredentialsWatch::fixed(Some(credentials)));
        for requests in [2, 3] {
            // The first call learns the time from a refusal, and repeats the request.
            client.status(&TaskId::random()).await.expect("success");
            assert_eq!(server.requests().len(), requests, "{hours} h");
        }
    }
}

#[tokio::test]
async fn corrected_clock_is_noticed() {
    let offset = jiff::SignedDuration::from_hours(1);
    // The local clock is set to the right time after two requests.
    let server = Server::start(move |number, request| {
        let offset = if number < 2 {
            offset
        } else {
            Default::default()
        };
        reply(request, Timestamp::now() + offset)
    })
    .await;
    let credentials = Credentials::new("worker", "secret");
    let deployment = server.deployment();
    let client = deployment.client(CredentialsWatch::fixed(Some(credentials)));
    for requests in [2, 4, 5] {
        client.status(&TaskId::random()).await.expect("success");
        assert_eq!(server.requests().len(), requests);
    }
}

#[tokio::test]
async fn signatures_for_others_have_the_time_of_the_services() {
    let offset = jiff::SignedDuration::from_hours(24);
    let server = Server::start(move |_, request| reply(request, Timestamp::now() + offset)).await;
    let deployment = server.deployment();
    let credentials = CredentialsWatch::fixed(Some(Credentials::new("worker", "secret")));
    let services = deployment.connect(credentials);
    let status = services.queue.status(&TaskId::random()).await;
    status.expect("the second attempt has the right time");
    let url = format!("{}/a", server.url);
    let header = services
        .authorizer
        .sign_header(&http::Method::GET, &url, None);
    let header = header.expect("signs");
    let signed_at = signed_at(header.to_str().expect("text"));
    assert!(signed_at.abs_diff((Timestamp::now() + offset).as_second()) < 600);
}

#[tokio::test]
async fn expiry_is_compared_with_the_time_of_the_services() {
    // This machine is a day ahead: its clock shows the credentials as expired, the services' clock does not.
    let offset = jiff::SignedDuration::from_hours(-24);
    let server = Server::start(move |_, request| reply(request, Timestamp::now() + offset)).await;
    let credentials = Credentials::new("worker", "secret");
    let credentials =
        credentials.with_expiry(Timestamp::now() - jiff::SignedDuration::from_hours(1));
    let cell = CredentialsCell::new(Some(credentials));
    let deployment =
        server.deployment_with(|settings| settings.credentials_wait = Duration::from_millis(1));
    let client = deployment.client(cell.watch());
    client.status(&TaskId::random()).await.expect("success");
    // The first call did not know the time yet.
    cell.refused().await;
    client.status(&TaskId::random()).await.expect("success");
    let asked = tokio::time::timeout(Duration::ZERO, cell.refused()).await;
    asked.expect_err("it is not asked for others");
}
