//! Claims about standard input, output and error.

use runtime_worker::Exit;

use super::print;
use crate::conformance::EngineUnderTest;
use crate::conformance::engine_test::EngineTest;
use crate::conformance::script::Step;

pub(super) async fn output_is_logged<U: EngineUnderTest>(test: EngineTest<U>) {
    test.run(&[print("out")]).await.assert_printed("out");
}

pub(super) async fn output_of_errors_is_logged<U: EngineUnderTest>(test: EngineTest<U>) {
    let ended = test.run(&[Step::PrintError("err".to_owned())]).await;
    ended.assert_printed("err");
}

pub(super) async fn output_keeps_its_order<U: EngineUnderTest>(test: EngineTest<U>) {
    let steps = [
        print("one"),
        Step::PrintError("two".to_owned()),
        print("three"),
        Step::PrintError("four".to_owned()),
    ];
    let log = test.run(&steps).await.log;
    assert!(log.contains("one\ntwo\nthree\nfour\n"), "{log}");
}

pub(super) async fn output_without_line_feed_is_logged<U: EngineUnderTest>(test: EngineTest<U>) {
    let log = test.run(&[Step::PrintText("last".to_owned())]).await.log;
    assert!(log.contains("last"), "{log}");
}

pub(super) async fn output_is_complete<U: EngineUnderTest>(test: EngineTest<U>) {
    const LINES: u32 = 50_000;
    let log = test.run(&[Step::PrintLines(LINES)]).await.log;
    let lines = log.lines().filter_map(|it| it.strip_prefix("line "));
    let expected: Vec<_> = (1..=LINES).map(|it| it.to_string()).collect();
    assert!(lines.eq(expected), "lines are lost or in another order");
}

pub(super) async fn output_of_a_failed_task_is_logged<U: EngineUnderTest>(test: EngineTest<U>) {
    let ended = test.run(&[print("before"), Step::Exit(1)]).await;
    assert_eq!(ended.exit, Exit::Code(1));
    assert!(ended.log.contains("before\n"), "{}", ended.log);
}

pub(super) async fn output_has_no_secrets<U: EngineUnderTest>(test: EngineTest<U>) {
    let (task, run) = test.task(&[print("the word is hush-hush-hush")]);
    let added = task.context().redactor().add("hush-hush-hush");
    added.expect("a long secret");
    let builder = test.engine.new_sandbox_builder(&run).await;
    let sandbox = builder.expect("a valid payload").start().await;
    let sandbox = sandbox.expect("the task starts");
    sandbox.wait().await.expect("the engine works");
    let log = task.log();
    assert!(log.contains("the word is [REDACTED]"), "{log}");
    assert!(!log.contains("hush"), "{log}");
}

pub(super) async fn input_is_closed<U: EngineUnderTest>(test: EngineTest<U>) {
    test.run(&[Step::Echo, print("end")])
        .await
        .assert_printed("end");
}

pub(super) async fn leftover_processes_end<U: EngineUnderTest>(test: EngineTest<U>) {
    // It would otherwise hold the output open for longer than a test may take.
    let ended = test.run(&[Step::LeaveProcess, print("end")]).await;
    ended.assert_printed("end");
}
