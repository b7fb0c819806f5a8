//! Each source against a server that gives the documented answers.

mod support;

use std::time::Duration;

use http::Method;
use runtime_client::shutdown::{AwsSpot, AzureEvents, GcpPreemption, ShouldTerminate};
use runtime_client::{TaskclusterDeployment, WorkerName};
use runtime_core::{CredentialsWatch, ShutdownNotice, ShutdownSource, StopStage, Timestamp};
use runtime_mocks::taskcluster::{Fault, FaultRule, Taskcluster};
use serde_json::json;

use support::{Reply, Server};

const QUICK: Duration = Duration::from_millis(5);

/// What a source tells. A server that was asked in the wrong way makes it wait for ever.
async fn told(source: &mut impl ShutdownSource) -> ShutdownNotice {
    let next = tokio::time::timeout(Duration::from_secs(20), source.next());
    next.await.expect("it tells in time").expect("there is one")
}

fn in_seconds(seconds: u64) -> Timestamp {
    Timestamp::now() + Duration::from_secs(seconds)
}

mod aws {
    use super::*;

    const TIME: &str = "/latest/meta-data/spot/termination-time";

    fn source(server: &Server) -> AwsSpot {
        let source = AwsSpot::new().expect("an HTTP client");
        source.endpoint(&server.url).interval(QUICK)
    }

    #[tokio::test]
    async fn a_termination_time_is_a_notice_with_that_much_time() {
        let server = Server::start(|number, seen| match (&seen.method, &*seen.target) {
            (&Method::PUT, "/latest/api/token") => {
                assert_eq!(seen.header("x-aws-ec2-metadata-token-ttl-seconds"), "21600");
                Reply::text(200, "a-session")
            }
            (&Method::GET, TIME) => {
                assert_eq!(seen.header("x-aws-ec2-metadata-token"), "a-session");
                match number {
                    ..3 => Reply::text(404, "<html>404 - Not Found</html>"),
                    _ => Reply::text(
                        200,
                        in_seconds(50).strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
                    ),
                }
            }
            _ => Reply::text(400, "unexpected"),
        })
        .await;
        let mut source = source(&server);
        let notice = told(&mut source).await;
        assert_eq!(notice.stage, StopStage::Now);
        let left = notice.budget.expect("AWS says when").as_secs();
        assert!((1..=50).contains(&left), "{left}");
        assert_eq!(source.next().await, None, "it is told once");
        let seen = server.seen();
        let sessions = seen.iter().filter(|seen| seen.method == Method::PUT);
        assert_eq!(sessions.count(), 1, "a session lasts for hours");
    }

    #[tokio::test]
    async fn a_session_that_ended_is_replaced_and_a_service_that_is_away_is_asked_again() {
        let server = Server::start(|number, seen| {
            let get = |seen: &support::Seen| match seen.header("x-aws-ec2-metadata-token") {
                "session-3" if number == 4 => Reply::text(500, ""),
                "session-3" => Reply::text(200, "soon"),
                _ => Reply::text(401, ""),
            };
            match (&seen.method, number) {
                (_, 0) => Reply::Hangup,
                (&Method::PUT, _) => Reply::text(200, format!("session-{number}")),
                _ => get(seen),
            }
        })
        .await;
        let notice = told(&mut source(&server)).await;
        assert_eq!(
            notice.budget,
            Some(Duration::from_secs(120)),
            "what AWS promises"
        );
    }
}

mod gcp {
    use super::*;

    fn waits(seen: &support::Seen) -> bool {
        seen.target.contains("wait_for_change=true")
    }

    #[tokio::test]
    async fn a_change_to_true_is_a_notice_also_when_it_came_between_two_requests_that_wait() {
        let server = Server::start(|number, seen| {
            assert_eq!(seen.header("metadata-flavor"), "Google");
            assert!(
                seen.target
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
        let notice = told(&mut source).await;
        assert_eq!(notice.stage, StopStage::Now);
        assert_eq!(notice.budget, Some(Duration::from_secs(30)));
        assert_eq!(source.next().await, None, "it is told once");
        let seen = server.seen();
        let waits: Vec<_> = seen.iter().map(waits).collect();
        assert_eq!(waits, [false, true, false, true, false]);
    }

    #[tokio::test]
    async fn an_instance_that_is_preempted_already_is_told_at_once() {
        let server = Server::start(|_, _| Reply::text(200, "TRUE\n")).await;
        let source = GcpPreemption::new().expect("an HTTP client");
        told(&mut source.endpoint(&server.url)).await;
        let seen = server.seen();
        let waits: Vec<_> = seen.iter().map(waits).collect();
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
        let server = Server::start(move |number, seen| {
            assert_eq!(seen.header("metadata"), "true");
            assert_eq!(
                seen.target,
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
        let notice = told(&mut source).await;
        (notice, server.seen().len())
    }

    #[tokio::test]
    async fn an_eviction_is_a_notice_and_a_freeze_another_machine_or_what_is_over_is_none() {
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
        assert_eq!(asked, 5, "the first answers name nothing that matters");
        assert!(notice.reason.contains("Preempt"), "{}", notice.reason);
        assert_eq!(notice.stage, StopStage::Now);
        let left = notice.budget.expect("Azure says when").as_secs();
        assert!((200..=300).contains(&left), "{left}");
    }

    #[tokio::test]
    async fn an_event_that_has_begun_leaves_little_time() {
        let (notice, _) = notice_of(vec![event("Reboot", "vm-1", "")]).await;
        assert_eq!(notice.budget, Some(Duration::from_secs(15)));
    }
}

#[tokio::test]
async fn the_worker_manager_lets_tasks_finish_and_an_error_is_no_reason_to_go() {
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
        let mut source = ShouldTerminate::new(client, worker).interval(QUICK);
        source.next().await
    });
    while fault.hits() < 2 {
        tokio::task::yield_now().await;
    }
    // From now on there are answers: not yet.
    let nothing = FaultRule::new(method, Fault::Latency { millis: 0 });
    let answers = taskcluster.inject(nothing);
    while answers.hits() < 2 {
        assert!(!asking.is_finished(), "nobody said that it should go");
        tokio::task::yield_now().await;
    }
    assert!(!asking.is_finished());
    taskcluster
        .terminate_worker("pool/linux", "group", "id", "the pool is too large")
        .expect("the worker exists");
    let notice = asking
        .await
        .expect("it does not panic")
        .expect("there is one");
    assert_eq!((notice.stage, notice.budget), (StopStage::Graceful, None));
    assert!(
        notice.reason.contains("the pool is too large"),
        "{}",
        notice.reason
    );
    taskcluster.stop().await;
}
