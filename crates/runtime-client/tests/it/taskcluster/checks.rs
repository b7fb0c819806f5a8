//! The checks of a connection before a worker claims.

use super::*;
use runtime_client::checks::{ConnectionCheck, ConnectionChecks};
use runtime_core::WorkerIdentity;

fn identity(root_url: &str) -> WorkerIdentity {
    WorkerIdentity {
        root_url: root_url.to_owned(),
        task_queue_id: QUEUE.to_owned(),
        worker_group: "group".to_owned(),
        worker_id: "id".to_owned(),
    }
}

async fn check_credentials(world: &World, credentials: Credentials) -> Vec<ConnectionCheck> {
    let root_url = world.taskcluster.root_url();
    let checks = ConnectionChecks::new(root_url).expect("a root URL");
    let credentials = CredentialsWatch::fixed(Some(credentials));
    checks.credentials(&credentials, &identity(root_url)).await
}

/// Returns the texts of failures with their advice.
fn failures(checks: &[ConnectionCheck]) -> Vec<String> {
    let failures = checks.iter().filter_map(ConnectionCheck::failure);
    failures.map(ToString::to_string).collect()
}

#[tokio::test]
async fn sound_connection_passes() {
    let world = World::new().await;
    let checks = ConnectionChecks::new(world.taskcluster.root_url()).expect("a root URL");
    let mut results = checks.deployment().await;
    results.extend(check_credentials(&world, world.taskcluster.credentials()).await);
    let passed = |it: &&ConnectionCheck| matches!(it, ConnectionCheck::Passed(_));
    assert_eq!(results.iter().filter(passed).count(), 4, "{results:?}");
    assert_eq!(results.len(), 4);
}

#[tokio::test]
async fn all_missing_scopes_are_named() {
    let world = World::new().await;
    let hour = Duration::from_secs(3600);
    let limited = world
        .taskcluster
        .temporary_credentials("me", &["secrets:get:a"], hour);
    let failures = failures(&check_credentials(&world, limited).await);
    let missing =
        "missing scope `queue:claim-work:embedded/worker` and `queue:worker-id:group/id`; add it";
    assert!(
        failures.len() == 1 && failures[0].contains(missing),
        "{failures:?}"
    );
}

#[tokio::test]
async fn refused_credentials_are_a_failure() {
    let world = World::new().await;
    let wrong = Credentials::new(world.taskcluster.credentials().client_id, "hunter2");
    let failures = failures(&check_credentials(&world, wrong).await);
    assert!(
        failures.len() == 1 && failures[0].contains("check client id"),
        "{failures:?}"
    );
    assert!(!failures[0].contains("hunter2"), "{failures:?}");
}

#[tokio::test]
async fn absent_credentials_are_not_checked() {
    let root_url = "http://127.0.0.1:1";
    let checks = ConnectionChecks::new(root_url).expect("a root URL");
    let absent = CredentialsWatch::fixed(None);
    assert_eq!(checks.credentials(&absent, &identity(root_url)).await, []);
    let failures = failures(&checks.deployment().await);
    assert!(
        failures.len() == 1 && failures[0].starts_with("cannot reach http://127.0.0.1:1: "),
        "{failures:?}"
    );
}
