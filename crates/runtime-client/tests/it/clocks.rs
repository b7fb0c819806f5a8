//! A local clock that differs from the clock of the services.

use std::time::Duration;

use runtime_core::queue::Queue as _;
use runtime_core::{Credentials, CredentialsWatch, TaskId, Timestamp};
use serde_json::json;

use crate::support::{ReceivedRequest, Reply, Server};

/// The largest difference that a service accepts.
const MAX_SKEW: Duration = Duration::from_secs(15 * 60);

/// Returns the time of a signature, in seconds since 1970.
fn signed_at(request: &ReceivedRequest) -> i64 {
    let header = request.header("authorization");
    let (_, rest) = header.split_once("ts=\"").expect("a signed request");
    let (seconds, _) = rest.split_once('"').expect("a quoted number");
    seconds.parse().expect("a number")
}

/// Returns the status of a task, at the time `now` of the services.
fn reply(request: &ReceivedRequest, now: Timestamp) -> Reply {
    let skew = signed_at(request).abs_diff(now.as_second());
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
