//! Claims about tasks that are stopped before they end by themselves, and about leftovers.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use runtime_worker::Exit;

use super::{print, write};
use crate::conformance::EngineUnderTest;
use crate::conformance::at_every_await::drop_at_every_await;
use crate::conformance::engine_test::{EngineTest, KILL_TIME};
use crate::conformance::script::Step;

pub(super) async fn kill_ends_a_task<U: EngineUnderTest>(test: EngineTest<U>) {
    let task = test.start(&[print("ready"), Step::Wait]).await;
    task.printed("ready").await;
    task.sandbox.kill(KILL_TIME).await;
    assert_eq!(task.end().await.exit, Exit::Killed);
}

pub(super) async fn kill_ends_a_stubborn_task<U: EngineUnderTest>(test: EngineTest<U>) {
    let steps = [Step::IgnoreSignals, print("ready"), Step::Wait, Step::Wait];
    let task = test.start(&steps).await;
    task.printed("ready").await;
    task.sandbox.kill(KILL_TIME).await;
    assert_eq!(task.end().await.exit, Exit::Killed);
}

pub(super) async fn kill_is_repeatable<U: EngineUnderTest>(test: EngineTest<U>) {
    let task = test.start(&[Step::Wait]).await;
    let sandbox = &task.sandbox;
    tokio::join!(sandbox.kill(KILL_TIME), sandbox.kill(KILL_TIME / 2));
    sandbox.kill(KILL_TIME).await;
    assert_eq!(task.end().await.exit, Exit::Killed);
}

pub(super) async fn kill_can_be_dropped<U: EngineUnderTest>(test: EngineTest<U>) {
    let task = test.start(&[Step::Wait]).await;
    {
        let mut kill = pin!(task.sandbox.kill(KILL_TIME));
        poll_fn(|context| {
            let _ = kill.as_mut().poll(context);
            Poll::Ready(())
        })
        .await;
    }
    assert_eq!(task.end().await.exit, Exit::Killed);
}

pub(super) async fn drop_ends_a_task<U: EngineUnderTest>(test: EngineTest<U>) {
    let steps = [
        Step::IgnoreSignals,
        write("file", ""),
        print("ready"),
        Step::Wait,
    ];
    let task = test.start(&steps).await;
    task.printed("ready").await;
    drop(task);
    test.assert_nothing_left().await;
}

pub(super) async fn dropped_builder_leaves_nothing<U: EngineUnderTest>(test: EngineTest<U>) {
    drop(test.builder().await);
    test.assert_nothing_left().await;
}

pub(super) async fn cancelled_builder_leaves_nothing<U: EngineUnderTest>(test: EngineTest<U>) {
    let (_task, run) = test.task(&[print("x")]);
    let created = drop_at_every_await(|| test.engine.new_sandbox_builder(&run)).await;
    drop(created.expect("a valid payload"));
    test.assert_nothing_left().await;
}

pub(super) async fn cancelled_start_leaves_nothing<U: EngineUnderTest>(test: EngineTest<U>) {
    let (_task, run) = test.task(&[write("file", ""), Step::Wait]);
    let started = drop_at_every_await(|| async {
        let builder = test.engine.new_sandbox_builder(&run).await;
        builder.expect("a valid payload").start().await
    });
    let sandbox = started.await.expect("the task starts");
    sandbox.kill(KILL_TIME).await;
    drop(sandbox);
    test.assert_nothing_left().await;
}

pub(super) async fn cancelled_wait_is_repeatable<U: EngineUnderTest>(test: EngineTest<U>) {
    let task = test.start(&[print("out"), Step::Exit(3)]).await;
    let result = drop_at_every_await(|| task.sandbox.wait()).await;
    assert_eq!(result.expect("the engine works").exit(), Exit::Code(3));
    let ended = task.end().await;
    assert!(ended.log.contains("out\n"), "{}", ended.log);
}

pub(super) async fn tasks_run_concurrently<U: EngineUnderTest>(test: EngineTest<U>) {
    let waiting = test.start(&[print("ready"), Step::Wait]).await;
    waiting.printed("ready").await;
    test.run(&[print("other")]).await.assert_printed("other");
    waiting.sandbox.kill(KILL_TIME).await;
    assert_eq!(waiting.end().await.exit, Exit::Killed);
}

pub(super) async fn ended_task_leaves_nothing<U: EngineUnderTest>(test: EngineTest<U>) {
    let steps = [
        Step::MakeFolder("a/b/c".to_owned()),
        write("a/b/c/file", "text"),
        Step::LeaveProcess,
    ];
    drop(test.run(&steps).await);
    test.assert_nothing_left().await;
}
