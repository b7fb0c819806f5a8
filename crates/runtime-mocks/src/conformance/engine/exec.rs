//! Claims about further commands in a running task.

use runtime_worker::{Capability, ExecCommand, ExecError, ExecProcess, Exit, PtySize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{print, write};
use crate::conformance::EngineUnderTest;
use crate::conformance::engine_test::{EngineTest, KILL_TIME, StartedTask};
use crate::conformance::script::Step;

/// Starts a task that waits, if the engine supports further commands. If it does not, checks that it refuses
/// them.
async fn waiting_task<U: EngineUnderTest>(test: &EngineTest<U>) -> Option<StartedTask> {
    let task = test.start(&[print("ready"), Step::Wait]).await;
    task.printed("ready").await;
    if test.has(Capability::Exec) {
        return Some(task);
    }
    let refused = test.exec(&task, &[print("x")], None).await;
    assert!(
        matches!(refused, Err(ExecError::Unsupported)),
        "{refused:?}"
    );
    task.sandbox.kill(KILL_TIME).await;
    None
}

async fn start<U: EngineUnderTest>(
    test: &EngineTest<U>,
    task: &StartedTask,
    steps: &[Step],
) -> ExecProcess {
    let started = test.exec(task, steps, None).await;
    started.expect("the command starts")
}

/// Reads all output of a command, and waits for its end.
async fn output(mut process: ExecProcess) -> (String, Exit) {
    drop(process.stdin);
    let mut text = String::new();
    let read = process.stdout.read_to_string(&mut text).await;
    read.expect("readable output");
    let exit = process.control.wait().await.expect("the engine works");
    (text, exit)
}

pub(super) async fn exec_runs_in_the_task<U: EngineUnderTest>(test: EngineTest<U>) {
    let Some(task) = waiting_task(&test).await else {
        return;
    };
    let process = start(&test, &task, &[write("file", "written")]).await;
    assert_eq!(output(process).await.1, Exit::Code(0));
    task.sandbox.kill(KILL_TIME).await;
    assert_eq!(task.end().await.read("file").await, "written");
}

pub(super) async fn exec_exit_code_is_reported<U: EngineUnderTest>(test: EngineTest<U>) {
    let Some(task) = waiting_task(&test).await else {
        return;
    };
    let process = start(&test, &task, &[print("out"), Step::Exit(7)]).await;
    assert_eq!(output(process).await, ("out\n".to_owned(), Exit::Code(7)));
}

pub(super) async fn exec_reads_input<U: EngineUnderTest>(test: EngineTest<U>) {
    let Some(task) = waiting_task(&test).await else {
        return;
    };
    let mut process = start(&test, &task, &[Step::Echo]).await;
    let written = process.stdin.write_all(b"typed").await;
    written.expect("the command reads");
    assert_eq!(output(process).await.0, "typed");
}

pub(super) async fn exec_separates_errors<U: EngineUnderTest>(test: EngineTest<U>) {
    let Some(task) = waiting_task(&test).await else {
        return;
    };
    let steps = [print("out"), Step::PrintError("err".to_owned())];
    let mut process = start(&test, &task, &steps).await;
    let mut stderr = process.stderr.take().expect("a pipe");
    assert_eq!(output(process).await.0, "out\n");
    let mut errors = String::new();
    let read = stderr.read_to_string(&mut errors).await;
    read.expect("readable errors");
    assert_eq!(errors, "err\n");
}

pub(super) async fn exec_has_a_terminal<U: EngineUnderTest>(test: EngineTest<U>) {
    let Some(task) = waiting_task(&test).await else {
        return;
    };
    let size = PtySize {
        rows: 24,
        columns: 80,
    };
    let started = test.exec(&task, &[Step::PrintInputKind], Some(size)).await;
    let mut process = started.expect("the command starts");
    process.control.resize(size).expect("a terminal");
    let mut text = String::new();
    let read = process.stdout.read_to_string(&mut text).await;
    read.expect("readable output");
    assert_eq!(text.trim_end(), "terminal");
    let started = start(&test, &task, &[Step::PrintInputKind]).await;
    assert_eq!(output(started).await.0, "pipe\n");
}

pub(super) async fn exec_ends_with_the_task<U: EngineUnderTest>(test: EngineTest<U>) {
    let Some(task) = waiting_task(&test).await else {
        return;
    };
    let process = start(&test, &task, &[Step::IgnoreSignals, Step::Wait]).await;
    task.sandbox.kill(KILL_TIME).await;
    let exit = process.control.wait().await.expect("the engine works");
    assert!(!exit.success(), "{exit}");
}

pub(super) async fn exec_can_be_dropped<U: EngineUnderTest>(test: EngineTest<U>) {
    let Some(task) = waiting_task(&test).await else {
        return;
    };
    let mut process = start(&test, &task, &[print("waits"), Step::Wait]).await;
    drop(process.control);
    let mut text = String::new();
    let read = process.stdout.read_to_string(&mut text).await;
    read.expect("readable output");
    // The task itself goes on.
    let process = start(&test, &task, &[print("out")]).await;
    assert_eq!(output(process).await.0, "out\n");
    task.sandbox.kill(KILL_TIME).await;
    assert_eq!(task.end().await.exit, Exit::Killed);
}

pub(super) async fn exec_after_the_end_is_refused<U: EngineUnderTest>(test: EngineTest<U>) {
    let Some(task) = waiting_task(&test).await else {
        return;
    };
    task.sandbox.kill(KILL_TIME).await;
    let refused = test.exec(&task, &[print("x")], None).await;
    assert!(
        matches!(refused, Err(ExecError::Ended { .. })),
        "{refused:?}"
    );
}

pub(super) async fn exec_of_invalid_command_is_refused<U: EngineUnderTest>(test: EngineTest<U>) {
    let Some(task) = waiting_task(&test).await else {
        return;
    };
    let commands = [&["/no/such/program"][..], &["sh", "a\0b"], &["sh\0"], &[]];
    for command in commands {
        let command = command.iter().map(|it| (*it).to_owned()).collect();
        let terminal = None;
        let refused = task.sandbox.exec(ExecCommand { command, terminal }).await;
        assert!(
            matches!(refused, Err(ExecError::Start { .. })),
            "{refused:?}"
        );
    }
}
