//! Claims, reports and conflicts.

use super::*;

#[tokio::test]
async fn task_is_claimed_reclaimed_and_completed() {
    let world = World::new().await;
    assert!(world.claim().await.is_none());
    let task = world.running(json!({ "payload": { "x": 1 } })).await;
    let reclaim = task
        .client
        .reclaim_task(&task.run)
        .await
        .expect("still ours");
    task.credentials.set(reclaim.credentials);
    let status = task
        .client
        .report_completed(&task.run)
        .await
        .expect("still ours");
    assert_eq!(
        (status.state, status.runs[0].reason_resolved.clone()),
        (TaskState::Completed, Some(ResolvedReason::Completed))
    );
    assert_eq!(
        task.client
            .report_completed(&task.run)
            .await
            .expect("the same again")
            .state,
        TaskState::Completed
    );
    assert!(
        task.client
            .report_failed(&task.run)
            .await
            .expect_err("the opposite")
            .is_conflict()
    );
    let definition = world
        .client
        .task(&task.run.task_id)
        .await
        .expect("it exists");
    assert_eq!(definition.payload, json!({ "x": 1 }));
}

#[tokio::test]
async fn intermittent_task_is_retried() {
    let world = World::new().await;
    let task = world.running(json!({})).await;
    task.client
        .report_exception(&task.run, ExceptionReason::WorkerShutdown)
        .await
        .expect("still ours");
    let status = world
        .client
        .status(&task.run.task_id)
        .await
        .expect("it exists");
    assert_eq!((status.state, status.runs.len()), (TaskState::Pending, 2));
}

#[tokio::test]
async fn cancelled_task_conflicts_with_its_worker() {
    let world = World::new().await;
    let first = world.create(json!({})).await;
    let definition = world.client.task(&first).await.expect("it exists");
    world.client.cancel_task(&first).await.expect("may cancel");
    let second = TaskId::random();
    let created = world
        .client
        .create_task(&second, &definition)
        .await
        .expect("the same definition under another id");
    assert_eq!(created.state, TaskState::Pending);
    let claim = world.claim().await.expect("pending");
    assert_eq!(claim.status.task_id, second);
    let task = world
        .deployment
        .client(CredentialsWatch::fixed(Some(claim.credentials)));
    assert_eq!(
        world
            .client
            .cancel_task(&second)
            .await
            .expect("may cancel")
            .state,
        TaskState::Exception
    );
    let run = Run {
        task_id: second,
        run_id: 0,
    };
    assert!(
        task.reclaim_task(&run)
            .await
            .expect_err("cancelled")
            .is_conflict()
    );
}

#[tokio::test]
async fn resolved_task_is_run_again() {
    let world = World::new().await;
    let task_id = world.create(json!({})).await;
    let pending = world.client.rerun_task(&task_id).await.expect("no error");
    assert_eq!(pending.runs.len(), 1);
    world
        .client
        .cancel_task(&task_id)
        .await
        .expect("may cancel");
    let again = world.client.rerun_task(&task_id).await.expect("resolved");
    assert_eq!((again.state, again.runs.len()), (TaskState::Pending, 2));
}

#[tokio::test]
async fn missing_task_and_artifact_are_not_found() {
    let world = World::new().await;
    assert!(
        world
            .client
            .status(&TaskId::random())
            .await
            .expect_err("unknown")
            .is_not_found()
    );
    assert!(
        world
            .client
            .find_task("no.such.namespace")
            .await
            .expect_err("unknown")
            .is_not_found()
    );
}
