//! Claims about limits.

use runtime_worker::Exit;

use super::print;
use crate::conformance::engine_test::EngineTest;
use crate::conformance::script::Step;
use crate::conformance::{EngineUnderTest, TaskLimit};

/// The limit of memory. Some engines refuse smaller ones.
const MEMORY: TaskLimit = TaskLimit::Memory(64 << 20);

const PROCESSES: TaskLimit = TaskLimit::Processes(20);

/// Runs a task below a limit. Returns its exit and log, or `None` if the engine or the machine does not support the
/// limit.
async fn run_limited<U: EngineUnderTest>(
    test: &EngineTest<U>,
    steps: &[Step],
    limit: TaskLimit,
) -> Option<(Exit, String)> {
    let Some(payload) = test.under_test.limited_payload(steps, limit) else {
        println!("skipped: the engine has no such limit");
        return None;
    };
    let (task, run) = test.task_with(payload);
    let builder = match test.engine.new_sandbox_builder(&run).await {
        Ok(builder) => builder,
        Err(error) if error.as_malformed_payload().is_some() => {
            println!("skipped: {error}");
            return None;
        }
        Err(error) => panic!("{error:?}"),
    };
    let sandbox = builder.start().await.expect("the task starts");
    let result = sandbox.wait().await.expect("the engine works");
    Some((result.exit(), task.log()))
}

pub(super) async fn limit_of_memory_ends_a_task<U: EngineUnderTest>(test: EngineTest<U>) {
    let steps = [Step::UseMemory(256 << 20), print("end")];
    if let Some((exit, log)) = run_limited(&test, &steps, MEMORY).await {
        assert!(!exit.success(), "{log}");
        assert!(!log.contains("end\n"), "{log}");
    }
}

pub(super) async fn limit_of_processes_is_enforced<U: EngineUnderTest>(test: EngineTest<U>) {
    let steps = [Step::StartProcesses(200), print("end")];
    if let Some((exit, log)) = run_limited(&test, &steps, PROCESSES).await {
        assert!(!exit.success(), "{log}");
        assert!(!log.contains("end\n"), "{log}");
    }
}

pub(super) async fn limited_task_may_use_less<U: EngineUnderTest>(test: EngineTest<U>) {
    for (steps, limit) in [
        ([Step::UseMemory(1 << 20), print("end")], MEMORY),
        ([Step::StartProcesses(2), print("end")], PROCESSES),
    ] {
        if let Some((exit, log)) = run_limited(&test, &steps, limit).await {
            assert_eq!(exit, Exit::Code(0), "{log}");
            assert!(log.contains("end\n"), "{log}");
        }
    }
}
