//! Reports to worker-manager, DSNs from the auth service, and ids of incidents.

use std::sync::Arc;
use std::time::Duration;

use runtime_client::{Client, TaskclusterDeployment, WorkerName};
use runtime_core::clock::SystemClock;
use runtime_core::{CredentialsWatch, Secret};
use runtime_mocks::TestTask;
use runtime_mocks::taskcluster::Taskcluster;
use runtime_monitoring::{
    DsnSource as _, LineFormat, LogBuilder, MonitoringConfig, SentryConfig, from_config,
    report_to_sentry, report_to_worker_manager,
};
use sentry_core::Envelope;
use serde_json::json;
use tracing::dispatcher::with_default;

use crate::service::Service;
use crate::support::{Failure, Output};

const POOL: &str = "proj/ci";

async fn deployment() -> (Taskcluster, Client) {
    let taskcluster = Taskcluster::start().await.expect("a port");
    taskcluster.add_static_worker(
        POOL,
        "eu",
        "i-1",
        "the secret of a static worker, 44 characters",
    );
    let deployment = TaskclusterDeployment::new(taskcluster.root_url()).expect("a root URL");
    let client = deployment.client(CredentialsWatch::fixed(Some(taskcluster.credentials())));
    (taskcluster, client)
}

fn worker() -> WorkerName {
    WorkerName {
        worker_pool_id: POOL.to_owned(),
        worker_group: "eu".to_owned(),
        worker_id: "i-1".to_owned(),
    }
}

#[tokio::test]
async fn incident_id_is_the_same_everywhere() {
    let (taskcluster, client) = deployment().await;
    let mut service = Service::start(&[]).await;
    let sentry = SentryConfig {
        dsn: Some(Secret::new(format!(
            "http://key@127.0.0.1:{}/42",
            service.port
        ))),
        ..SentryConfig::default()
    };
    let sentry = report_to_sentry(&sentry, None, Arc::new(SystemClock::new())).expect("a DSN");
    let manager = report_to_worker_manager(client, worker(), 10);
    let monitoring = from_config(&MonitoringConfig::default());
    monitoring.reporters.add(sentry.reporter());
    monitoring.reporters.add(manager.reporter());
    let output = Output::default();
    let log =
        LogBuilder::new(MonitoringConfig::default().log).writer(LineFormat::Json, output.clone());
    let (dispatch, log) = log.build().expect("a thread");

    let task = TestTask::new(json!({}));
    let id = with_default(&dispatch, || {
        let monitor = monitoring.monitor.with_tag("taskId", "a1");
        monitor.report_error(&Failure::new(), "the task ended")
    });
    task.context()
        .log_error(format_args!("Internal error of the worker, incident {id}"));
    let id = id.to_string();

    drop(log);
    assert!(task.log().contains(&id), "{}", task.log());
    assert!(
        output.text().contains(&format!("\"incident\":\"{id}\"")),
        "{}",
        output.text()
    );
    let received = service.next().await;
    let envelope = Envelope::from_slice(&received.body).expect("an envelope");
    assert_eq!(envelope.event().expect("an event").event_id.to_string(), id);
    assert_eq!(manager.stop(Duration::from_secs(30)).await.delivered, 1);
    let [error] = &taskcluster.worker_errors(POOL)[..] else {
        panic!("one error: {:?}", taskcluster.worker_errors(POOL));
    };
    assert_eq!(error["extra"]["incident"], *id);
    assert_eq!(error["extra"]["tags"]["taskId"], "a1");
    assert_eq!(error["title"], "the task ended");
    assert_eq!(
        error["description"],
        "the task ended: cannot upload the log: connection reset"
    );
    sentry.stop(Duration::from_secs(30)).await;
    taskcluster.stop().await;
}

#[tokio::test]
async fn report_is_truncated_to_the_limits() {
    let (taskcluster, client) = deployment().await;
    let manager = report_to_worker_manager(client, worker(), 10);
    let monitoring = from_config(&MonitoringConfig::default());
    monitoring.reporters.add(manager.reporter());
    let error = Failure(std::io::Error::other("é".repeat(100_000)));
    monitoring.monitor.report_error(&error, "é".repeat(1_000));
    let counts = manager.stop(Duration::from_secs(30)).await;
    assert_eq!((counts.delivered, counts.refused), (1, 0));
    let errors = taskcluster.worker_errors(POOL);
    assert_eq!(errors[0]["title"], "é".repeat(64));
    taskcluster.stop().await;
}

#[tokio::test]
async fn rejected_report_is_not_retried() {
    let (taskcluster, client) = deployment().await;
    let stranger = WorkerName {
        worker_pool_id: "no/pool".to_owned(),
        ..worker()
    };
    let manager = report_to_worker_manager(client, stranger, 10);
    let monitoring = from_config(&MonitoringConfig::default());
    monitoring.reporters.add(manager.reporter());
    monitoring
        .monitor
        .report_error(&Failure::new(), "the task ended");
    let counts = manager.stop(Duration::from_secs(30)).await;
    assert_eq!((counts.delivered, counts.refused), (0, 1));
    taskcluster.stop().await;
}

#[tokio::test]
async fn auth_service_provides_an_expiring_dsn() {
    let (taskcluster, client) = deployment().await;
    let given = client
        .dsn(Some("my-worker"))
        .await
        .expect("the client has all scopes");
    assert!(given.dsn.expose().ends_with("/sentry/my-worker"));
    assert!(given.expires.is_some());
    let error = client.dsn(None).await.expect_err("there is no project");
    assert!(error.to_string().contains("`project`"), "{error}");
    taskcluster.stop().await;
}
