//! Registration and renewal.

use std::time::Duration;

use runtime_client::{ClientSettings, Registrar, TaskclusterDeployment, WorkerName};
use runtime_core::clock::MockClock;
use runtime_core::{ShutdownSource as _, StopStage};
use runtime_mocks::taskcluster::{Fault, FaultRule, Taskcluster};
use serde_json::json;
use std::sync::Arc;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
const SECRET: &str = "a-secret-of-some-length";

fn worker() -> WorkerName {
    WorkerName {
        worker_pool_id: "pool/linux".to_owned(),
        worker_group: "group".to_owned(),
        worker_id: "id".to_owned(),
    }
}

async fn pool() -> (Taskcluster, TaskclusterDeployment) {
    let taskcluster = static_worker().await;
    let clock = taskcluster.clock();
    let deployment = deployment(&taskcluster, clock);
    (taskcluster, deployment)
}

async fn static_worker() -> Taskcluster {
    let taskcluster = Taskcluster::start().await.expect("a free port");
    taskcluster.add_static_worker("pool/linux", "group", "id", SECRET);
    taskcluster
}

fn deployment(taskcluster: &Taskcluster, clock: MockClock) -> TaskclusterDeployment {
    let mut settings = ClientSettings::default();
    settings.clock = Arc::new(clock);
    settings.retry.budget = Duration::ZERO;
    settings.credentials_wait = Duration::ZERO;
    let deployment = TaskclusterDeployment::with_settings(taskcluster.root_url(), settings);
    deployment.expect("a root URL")
}

fn registrar(deployment: &TaskclusterDeployment) -> Registrar {
    Registrar::new(
        deployment,
        worker(),
        "static",
        json!({ "staticSecret": SECRET }),
    )
}

#[tokio::test]
async fn credentials_are_renewed_before_expiry() {
    let (taskcluster, deployment) = pool().await;
    let (registered, mut renewal) = registrar(&deployment).register().await.expect("registered");
    let mut credentials = registered.credentials.clone();
    let first = credentials.snapshot().expect("credentials");
    let renewing = tokio::spawn(async move { renewal.next().await });
    // The embedded Taskcluster forgets a static worker after a day; its credentials are valid for four days.
    taskcluster.add_static_worker("pool/linux", "group", "id", SECRET);
    let left = first
        .expires
        .expect("an expiry")
        .duration_since(taskcluster.clock().now());
    let until_due = Duration::try_from(left).expect("not expired") - HOUR / 2;
    taskcluster.advance(until_due - HOUR);
    assert!(!renewing.is_finished());
    taskcluster.add_static_worker("pool/linux", "group", "id", SECRET);
    taskcluster.advance(HOUR + Duration::from_secs(1));
    assert!(credentials.changed().await, "new credentials");
    let second = credentials.snapshot().expect("credentials");
    assert!(second.expires > first.expires);
    renewing.abort();
    taskcluster.stop().await;
}

#[tokio::test]
async fn wrong_clock_does_not_delay_renewal() {
    // Set back before the registration, or after it.
    for (before, after) in [(DAY, Duration::ZERO), (Duration::ZERO, DAY)] {
        let (taskcluster, clock) = (static_worker().await, MockClock::new());
        let deployment = deployment(&taskcluster, clock.clone());
        clock.set_back(before);
        let registered = registrar(&deployment).register().await;
        let (registered, mut renewal) = registered.expect("registered");
        let mut credentials = registered.credentials.clone();
        let renewing = tokio::spawn(async move { renewal.next().await });
        tokio::task::yield_now().await;
        tokio::time::pause();
        clock.set_back(after);
        // The certificate starts early and ends late, so its lifetime is some minutes too long.
        tokio::time::advance(4 * DAY - HOUR / 60).await;
        tokio::time::resume();
        let renewed = tokio::time::timeout(HOUR / 60, credentials.changed()).await;
        assert_eq!(renewed, Ok(true), "renewed in time");
        renewing.abort();
        taskcluster.stop().await;
    }
}

#[tokio::test]
async fn renewal_without_state_file_keeps_the_secret() {
    let (taskcluster, clock) = (static_worker().await, MockClock::new());
    let deployment = deployment(&taskcluster, clock);
    let folder = tempfile::tempdir().expect("a folder");
    let registrar = registrar(&deployment).state_file(folder.path().join("state.json"));
    let (registered, mut renewal) = registrar.register().await.expect("registered");
    let refusal = Fault::Status {
        status: 400,
        retry_after: None,
    };
    let registers = taskcluster.inject(FaultRule::new("worker-manager.registerWorker", refusal));
    folder.close().expect("the folder is ours");
    let mut credentials = registered.credentials.clone();
    let renewing = tokio::spawn(async move { renewal.next().await });
    for _ in 0..2 {
        tokio::task::yield_now().await;
        tokio::time::pause();
        tokio::time::advance(4 * DAY - HOUR / 60).await;
        tokio::time::resume();
        let renewed = tokio::time::timeout(HOUR / 60, credentials.changed()).await;
        assert_eq!(renewed, Ok(true), "renewed");
    }
    assert_eq!(registers.hits(), 0, "no proof is needed");
    renewing.abort();
    taskcluster.stop().await;
}

#[tokio::test]
async fn refused_renewal_stops_gracefully() {
    let (taskcluster, deployment) = pool().await;
    let (registered, mut renewal) = registrar(&deployment).register().await.expect("registered");
    let expires = registered
        .credentials
        .snapshot()
        .and_then(|first| first.expires);
    let left = expires
        .expect("an expiry")
        .duration_since(taskcluster.clock().now());
    let renewing = tokio::spawn(async move { renewal.next().await });
    // By then, the embedded Taskcluster has forgotten the worker.
    taskcluster.advance(Duration::try_from(left).expect("not expired") - HOUR / 2);
    let notice = renewing.await.expect("no panic").expect("a notice");
    assert_eq!(notice.stage, StopStage::Graceful);
    assert!(
        notice.budget.is_some_and(|budget| budget <= HOUR / 2),
        "{notice}"
    );
    taskcluster.stop().await;
}

#[tokio::test]
async fn restarted_worker_resumes_from_state_file() {
    let (taskcluster, deployment) = pool().await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("registration.json");
    let first = registrar(&deployment)
        .state_file(&file)
        .register()
        .await
        .expect("registered");
    drop(first);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(&file)
            .expect("the state file")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let refusal = Fault::Status {
        status: 400,
        retry_after: None,
    };
    let registers = taskcluster.inject(FaultRule::new("worker-manager.registerWorker", refusal));
    let (registered, _) = registrar(&deployment)
        .state_file(&file)
        .register()
        .await
        .expect("registered");
    assert!(registered.credentials.snapshot().is_some());
    assert_eq!(registers.hits(), 0, "the stored registration is resumed");
    taskcluster.stop().await;
}

#[tokio::test]
async fn pool_configuration_survives_restarts() {
    let (taskcluster, deployment) = pool().await;
    let folder = tempfile::tempdir().expect("a folder");
    let registrar = || registrar(&deployment).state_file(folder.path().join("state.json"));
    assert!(registrar().stored().is_none());
    // The embedded Taskcluster returns an empty configuration for a pool without one.
    for _ in 0..3 {
        let (registered, _) = registrar().register().await.expect("registered");
        assert_eq!(registered.worker_config, Some(json!({})));
        let stored = registrar().stored().expect("a state file");
        assert_eq!(stored.worker_config, Some(json!({})));
        let client_id = |it: &runtime_client::RegisteredWorker| {
            let credentials = it.credentials.snapshot().expect("credentials");
            credentials.client_id.clone()
        };
        assert_eq!(client_id(&stored), client_id(&registered));
    }
    taskcluster.stop().await;
}

#[tokio::test]
async fn lost_secret_falls_back_to_proof() {
    let (taskcluster, deployment) = pool().await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("registration.json");
    drop(
        registrar(&deployment)
            .state_file(&file)
            .register()
            .await
            .expect("registered"),
    );
    taskcluster.inject(FaultRule::new(
        "worker-manager.reregisterWorker",
        Fault::LostResponse,
    ));
    let (registered, _) = registrar(&deployment)
        .state_file(&file)
        .register()
        .await
        .expect("registered");
    assert!(registered.credentials.snapshot().is_some());
    taskcluster.stop().await;
}

#[tokio::test]
async fn wrong_proof_is_not_in_the_error() {
    let (taskcluster, deployment) = pool().await;
    let wrong = json!({ "staticSecret": "not-the-secret" });
    let refused = Registrar::new(&deployment, worker(), "static", wrong)
        .register()
        .await;
    let error = refused.expect_err("refused");
    assert!(
        error
            .to_string()
            .contains("check worker pool, provider and proof"),
        "{error}"
    );
    assert!(
        !format!("{error:?}").contains("not-the-secret"),
        "{error:?}"
    );
    taskcluster.stop().await;
}
