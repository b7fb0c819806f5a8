//! Claims about the exit of a task.

use std::sync::Arc;

use runtime_worker::Exit;

use super::print;
use crate::conformance::EngineUnderTest;
use crate::conformance::engine_test::{EngineTest, KILL_TIME};
use crate::conformance::script::Step;

pub(super) async fn exit_code_zero_succeeds<U: EngineUnderTest>(test: EngineTest<U>) {
    assert_eq!(test.run(&[print("well")]).await.exit, Exit::Code(0));
}

pub(super) async fn exit_code_is_reported<U: EngineUnderTest>(test: EngineTest<U>) {
    for code in [1, 7, 255] {
        let ended = test.run(&[Step::Exit(code), print("not reached")]).await;
        assert_eq!(ended.exit, Exit::Code(code));
        assert!(!ended.log.contains("not reached"), "{}", ended.log);
    }
}

pub(super) async fn exit_by_signal_fails<U: EngineUnderTest>(test: EngineTest<U>) {
    let exit = test.run(&[Step::Die]).await.exit;
    // A shell between the engine and the task turns a signal into a code.
    assert!(matches!(exit, Exit::Signal(9) | Exit::Code(137)), "{exit}");
}

pub(super) async fn exit_is_repeated<U: EngineUnderTest>(test: EngineTest<U>) {
    let task = test.start(&[Step::Exit(3)]).await;
    for _ in 0..3 {
        let result = task.sandbox.wait().await.expect("the engine works");
        assert_eq!(result.exit(), Exit::Code(3));
    }
}

pub(super) async fn exit_survives_a_kill<U: EngineUnderTest>(test: EngineTest<U>) {
    let task = test.start(&[Step::Exit(3)]).await;
    task.sandbox.wait().await.expect("the engine works");
    task.sandbox.kill(KILL_TIME).await;
    assert_eq!(task.end().await.exit, Exit::Code(3));
}

pub(super) async fn exit_is_seen_by_all_waits<U: EngineUnderTest>(test: EngineTest<U>) {
    let task = test.start(&[Step::Exit(3)]).await;
    let sandbox = &task.sandbox;
    let (a, b) = tokio::join!(sandbox.wait(), sandbox.wait());
    for result in [a, b] {
        let result = result.expect("the engine works");
        assert_eq!(Arc::clone(&result).exit(), Exit::Code(3));
    }
}
