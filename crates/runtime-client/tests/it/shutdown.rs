//! Each source, with a server that sends the documented responses.

use std::time::Duration;

use http::Method;
use runtime_client::shutdown::{AwsSpot, AzureEvents, GcpPreemption, ShouldTerminateSource};
use runtime_client::{TaskclusterDeployment, WorkerName};
use runtime_core::{CredentialsWatch, ShutdownNotice, ShutdownSource, StopStage, Timestamp};
use runtime_mocks::taskcluster::{Fault, FaultRule, Taskcluster};
use serde_json::json;

use crate::support::{ReceivedRequest, Reply, Server, wait_until};

const QUICK: Duration = Duration::from_millis(5);

/// Returns the notice of a source. After a wrong request there is none, and this times out.
async fn notice(source: &mut impl ShutdownSource) -> ShutdownNotice {
    let next = tokio::time::timeout(Duration::from_secs(20), source.next());
    next.await.expect("a notice in time").expect("a notice")
}

/// Returns a time in the future, or in the past for a negative number.
fn in_seconds(seconds: i64) -> Timestamp {
    let distance = Duration::from_secs(seconds.unsigned_abs());
    if seconds < 0 {
        Timestamp::now() - distance
    } else {
        Timestamp::now() + distance
    }
}

mod aws {
    use super::*;

    const TIME: &str = "/latest/meta-data/spot/termination-time";

    fn source(server: &Server) -> AwsSpot {
        let source = AwsSpot::new().expect("an HTTP client");
        source.endpoint(&server.url).interval(QUICK)
    }

    #[tokio::test]
    async fn termination_time_is_the_budget() {
        let server = Server::start(
            |number, request| match (&request.method, &*request.target) {
                (&Method::PUT, "/latest/api/token") => {
                    assert_eq!(
                        request.header("x-aws-ec2-metadata-token-ttl-seconds"),
                        "21600"
                    );
                    Reply::text(200, "a-session")
                }
                (&Method::GET, TIME) => {
                    assert_eq!(request.header("x-aws-ec2-metadata-token"), "a-session");
                    match number {
                        ..3 => Reply::text(404, "<html>404 - Not Found</html>"),
                        _ => Reply::text(
                            200,
                            in_seconds(50).strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
                        ),
                    }
                }
                _ => Reply::text(400, "unexpected"),
            },
        )
        .await;
        let mut source = source(&server);
        let notice = notice(&mut source).await;
        assert_eq!(notice.stage, StopStage::Now);
        let left = notice.budget.expect("a time from AWS").as_secs();
        assert!((1..=50).contains(&left), "{left}");
        assert_eq!(source.next().await, None, "one notice only");
        let requests = server.requests();
        let sessions = requests
            .iter()
            .filter(|request| request.method == Method::PUT);
        assert_eq!(sessions.count(), 1, "a session is reused");
    }

    #[tokio::test]
    async fn wrong_clock_does_not_change_the_period() {
        // By the local clock, the termination is an hour away, or an hour ago.
        for seconds in [3600, -3600] {
            let time = in_seconds(seconds).to_string();
            let server = Server::start(move |number, _| {
                Reply::text(
                    200,
                    if number == 0 {
                        "session"
                    } else {
                        time.as_str()
                    }
                    .to_owned(),
                )
            })
            .await;
            let notice = notice(&mut source(&server)).await;
            assert_eq!(notice.budget, Some(Duration::from_secs(120)), "{seconds}");
        }
    }

    #[tokio::test]
    async fn expired_session_is_replaced() {
        let server = Server::start(|number, request| {
            let get = |request: &ReceivedRequest| match request.header("x-aws-ec2-metadata-token") {
                "session-3" if number == 4 => Reply::text(500, ""),
                "session-3" => Reply::text(200, "soon"),
                _ => Reply::text(401, ""),
            };
            match (&request.method, number) {
                (_, 0) => Reply::Hangup,
                (&Method::PUT, _) => Reply::text(200, format!("session-{number}")),
                _ => get(request),
            }
        })
        .await;
        let notice = notice(&mut source(&server)).await;
        assert_eq!(
            notice.budget,
            Some(Duration::from_secs(120)),
            "the promised period"
        );
    }
}

mod gcp {
    use super::*;

    fn waits(request: &ReceivedRequest) -> bool {
        request.target.contains("wait_for_change=true")
    }

    #[tokio::test]
    async fn change_between_held_requests_is_noticed() {
        let server = Server::start(|number, request| {
            assert_eq!(request.header("metadata-flavor"), "Google");
            assert!(
                request
                    .target
                    .starts_with("/computeMetadata/v1/instance/preempted")
            );
            match number {
                0 | 1 => Reply::text(200, "FALSE"),
                2 => Reply::Hangup,
                3 => Reply::text(503, "TRUE"),
                _ => Reply::text(200, "TRUE"),
            }
        })
        .await;
        let source = GcpPreemption::new().expect("an HTTP client");
        let mut source = source.endpoint(&server.url).interval(QUICK);
        let notice = notice(&mut source).await;
        assert_eq!(notice.stage, StopStage::Now);
        assert_eq!(notice.budget, Some(Duration::from_secs(30)));
        assert_eq!(source.next().await, None, "one notice only");
        let requests = server.requests();
        let waits: Vec<_> = requests.iter().map(waits).collect();
        assert_eq!(waits, [false, true, false, true, false]);
    }

    #[tokio::test]
    async fn earlier_preemption_is_reported_at_once() {
        let server = Server::start(|_, _| Reply::text(200, "TRUE\n")).await;
        let source = GcpPreemption::new().expect("an HTTP client");
        notice(&mut source.endpoint(&server.url)).await;
        let requests = server.requests();
        let waits: Vec<_> = requests.iter().map(waits).collect();
        assert_eq!(waits, [false]);
    }
}

mod azure {
    use super::*;

    fn event(kind: &str, machine: &str, not_before: &str) -> serde_json::Value {
        json!({
            "EventId": "A123BC45-1234-5678-AB90-ABCDEF123456",
            "EventType": kind,
            "ResourceType": "VirtualMachine",
            "Resources": [machine],
            "EventStatus": "Scheduled",
            "NotBefore": not_before,
            "Description": "",
            "EventSource": "Platform",
            "DurationInSeconds": -1,
        })
    }

    async fn notice_of(events: Vec<serde_json::Value>) -> (ShutdownNotice, usize) {
        let server = Server::start(move |number, request| {
            assert_eq!(request.header("metadata"), "true");
            assert_eq!(
                request.target,
                "/metadata/scheduledevents?api-version=2020-07-01"
            );
            let events: Vec<_> = events.iter().take(number).collect();
            Reply::json(
                200,
                json!({ "DocumentIncarnation": number, "Events": events }),
            )
        })
        .await;
        let source = AzureEvents::new().expect("an HTTP client");
        let mut source = source.endpoint(&server.url).interval(QUICK).machine("vm-1");
        let notice = notice(&mut source).await;
        (notice, server.requests().len())
    }

    #[tokio::test]
    async fn only_relevant_events_are_reported() {
        let soon = in_seconds(300)
            .strftime("%a, %d %b %Y %H:%M:%S GMT")
            .to_string();
        let mut over = event("Redeploy", "vm-1", &soon);
        over["EventStatus"] = json!("Completed");
        let (notice, asked) = notice_of(vec![
            event("Freeze", "vm-1", &soon),
            event("Terminate", "vm-2", &soon),
            over,
            event("Preempt", "vm-1", &soon),
        ])
        .await;
        assert_eq!(asked, 5, "irrelevant events are ignored");
        assert!(notice.reason.contains("Preempt"), "{}", notice.reason);
        assert_eq!(notice.stage, StopStage::Now);
        let left = notice.budget.expect("a time from Azure").as_secs();
        assert!((200..=300).contains(&left), "{left}");
    }

    #[tokio::test]
    async fn started_event_has_short_budget() {
        let past = in_seconds(-3600)
            .strftime("%a, %d %b %Y %H:%M:%S GMT")
            .to_string();
        for time in ["", &past] {
            let (notice, _) = notice_of(vec![event("Reboot", "vm-1", time)]).await;
            assert_eq!(notice.budget, Some(Duration::from_secs(15)), "{time}");
        }
    }
}

#[tokio::test]
async fn terminate_is_graceful_and_errors_are_ignored() {
    let taskcluster = Taskcluster::start().await.expect("a free port");
    taskcluster.add_static_worker("pool/linux", "group", "id", "a-secret-of-some-length");
    let deployment = TaskclusterDeployment::new(taskcluster.root_url()).expect("a root URL");
    let client = deployment.client(CredentialsWatch::fixed(Some(taskcluster.credentials())));
    let worker = WorkerName {
        worker_pool_id: "pool/linux".to_owned(),
        worker_group: "group".to_owned(),
        worker_id: "id".to_owned(),
    };
    let refusal = Fault::Status {
        status: 404,
        retry_after: None,
    };
    let method = "worker-manager.shouldWorkerTerminate";
    let fault = taskcluster.inject(FaultRule::new(method, refusal).times(2));
    let asking = tokio::spawn(async move {
        let mut source = ShouldTerminateSource::new(client, worker).interval(QUICK);
        source.next().await
    });
    wait_until(|| fault.hits() >= 2).await;
    // From here on, the service responds that the worker is still needed.
    let nothing = FaultRule::new(method, Fault::Latency { millis: 0 });
    let answers = taskcluster.inject(nothing);
    wait_until(|| answers.hits() >= 2).await;
    assert!(!asking.is_finished(), "no termination was requested");
    taskcluster
        .terminate_worker("pool/linux", "group", "id", "the pool is too large")
        .expect("the worker exists");
    let notice = asking.await.expect("no panic").expect("a notice");
    assert_eq!((notice.stage, notice.budget), (StopStage::Graceful, None));
    assert!(
        notice.reason.contains("the pool is too large"),
        "{}",
        notice.reason
    );
    taskcluster.stop().await;
}
