//! The settings of a worker in its pool.

use runtime_client::{PoolConfigError, TaskclusterDeployment, worker_config_for};
use runtime_core::CredentialsWatch;
use runtime_mocks::taskcluster::{Fault, FaultRule, Taskcluster};
use serde_json::{Value, json};

async fn pool_secret(value: Option<Value>) -> Result<Option<Value>, PoolConfigError> {
    let taskcluster = Taskcluster::start().await.expect("a free port");
    if let Some(value) = value {
        taskcluster.set_secret("worker-pool:proj/linux", value);
    }
    let deployment = TaskclusterDeployment::new(taskcluster.root_url()).expect("a root URL");
    let credentials = CredentialsWatch::fixed(Some(taskcluster.credentials()));
    let config = deployment
        .client(credentials)
        .pool_secret("proj/linux")
        .await;
    taskcluster.stop().await;
    config
}

#[test]
fn section_of_the_program_is_used() {
    let wrapped = json!({ "myWorker": { "config": { "a": 1 }, "files": [] }, "other": 2 });
    for program in ["my-worker", "my_worker", "myWorker"] {
        let config = worker_config_for(program, wrapped.clone()).expect("valid");
        assert_eq!(config, json!({ "a": 1 }), "{program}");
    }
}

#[test]
fn flat_config_is_used_as_it_is() {
    let flat = json!({ "config": { "a": 1 }, "worker": {} });
    let config = worker_config_for("myWorker", flat.clone()).expect("valid");
    assert_eq!(config, flat);
}

#[test]
fn files_are_refused() {
    let wrapped = json!({ "myWorker": { "config": {}, "files": [{ "path": "/x" }] } });
    let error = worker_config_for("myWorker", wrapped).expect_err("files");
    assert!(matches!(error, PoolConfigError::Files { .. }), "{error}");
}

#[tokio::test]
async fn pool_secret_may_be_missing() {
    assert_eq!(pool_secret(None).await.expect("no error"), None);
}

#[tokio::test]
async fn pool_secret_has_both_forms() {
    for secret in [json!({ "config": { "a": 1 } }), json!({ "a": 1 })] {
        let config = pool_secret(Some(secret)).await.expect("valid");
        assert_eq!(config, Some(json!({ "a": 1 })));
    }
}

#[tokio::test]
async fn wrong_pool_secret_is_not_shown() {
    let error = pool_secret(Some(json!({ "config": "hunter2" }))).await;
    let error = format!("{:?}", error.expect_err("not an object"));
    assert!(
        error.contains("NoObject") && !error.contains("hunter2"),
        "{error}"
    );
}

#[tokio::test]
async fn failed_fetch_of_pool_secret_is_an_error() {
    let taskcluster = Taskcluster::start().await.expect("a free port");
    let settings = {
        let mut settings = runtime_client::ClientSettings::default();
        settings.retry.budget = std::time::Duration::ZERO;
        settings
    };
    let deployment = TaskclusterDeployment::with_settings(taskcluster.root_url(), settings);
    let deployment = deployment.expect("a root URL");
    let credentials = CredentialsWatch::fixed(Some(taskcluster.credentials()));
    let client = deployment.client(credentials);
    taskcluster.inject(FaultRule::new(
        "secrets.get",
        Fault::Status {
            status: 500,
            retry_after: None,
        },
    ));
    let error = client
        .pool_secret("proj/linux")
        .await
        .expect_err("an outage");
    assert!(matches!(error, PoolConfigError::Fetch { .. }), "{error}");
    taskcluster.stop().await;
}
