//! Further commands in a task: their end, and their place among the processes of the machine.
#![cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use runtime_mocks::TestTask;
use runtime_process::{ProcessEngine, TaskLimits};
use runtime_worker::{Engine as _, ExecCommand, Sandbox, TaskRun};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};

use crate::support::{TestBed, sh};

/// Starts a task that waits.
async fn start(bed: &TestBed) -> (TestTask, Arc<dyn Sandbox>) {
    start_with(bed, bed.engine(), "sleep 600").await
}

/// Starts a task with a script.
async fn start_with(
    bed: &TestBed,
    engine: ProcessEngine,
    script: &str,
) -> (TestTask, Arc<dyn Sandbox>) {
    let task = TestTask::new(sh(script));
    let run = TaskRun::new(task.context().clone(), bed.environment());
    let builder = engine.new_sandbox_builder(&run).await;
    let sandbox = builder.expect("a valid payload").start().await;
    (task, sandbox.expect("the task starts"))
}

fn command(script: &str) -> ExecCommand {
    ExecCommand {
        command: ["sh", "-c", script].map(str::to_owned).into(),
        terminal: None,
    }
}

#[tokio::test]
async fn exec_ends_before_its_task() {
    let bed = TestBed::new().await;
    let (_task, sandbox) = start(&bed).await;
    let script = "trap '' TERM; echo $$; while :; do sleep 0.1; done";
    let process = sandbox.exec(command(script)).await;
    let process = process.expect("the command starts");
    let mut pid = String::new();
    let mut stdout = BufReader::new(process.stdout);
    let read = stdout.read_line(&mut pid).await;
    read.expect("readable output");
    sandbox.kill(Duration::ZERO).await;
    assert!(!Path::new("/proc").join(pid.trim_end()).exists());
}

#[tokio::test]
async fn exec_has_the_score_of_the_task() {
    for bed in TestBed::each().await {
        let (_task, sandbox) = start(&bed).await;
        // The score is set when the command has started.
        let script = "read line; cat /proc/self/oom_score_adj";
        let process = sandbox.exec(command(script)).await;
        let mut process = process.expect("the command starts");
        let written = process.stdin.write_all(b"go\n").await;
        written.expect("the command reads");
        let mut score = String::new();
        let read = BufReader::new(process.stdout).read_line(&mut score).await;
        read.expect("readable output");
        assert_eq!(score, "500\n");
        sandbox.kill(Duration::ZERO).await;
    }
}

#[tokio::test]
async fn exec_shares_the_limits_of_the_task() {
    for bed in TestBed::each().await {
        let limits = TaskLimits {
            processes: Some(30),
            ..TaskLimits::default()
        };
        let engine = || bed.engine().limits(limits);
        if let Err(error) = engine().prepare(&bed.environment()).await {
            return println!("skipped: {error:?}");
        }
        let forks =
            |count: u32| format!("for i in $(seq {count}); do sleep 600 >/dev/null 2>&1 & done");
        let script = format!("{}; echo > started; wait", forks(15));
        let (_task, sandbox) = start_with(&bed, engine(), &script).await;
        bed.wait_for_task_file("started").await;
        // The shell ends when it cannot create a process.
        for (count, expected) in [(5, "all\n"), (20, "")] {
            let script = format!("{}; echo all; kill $(jobs -p)", forks(count));
            let process = sandbox.exec(command(&script)).await;
            let mut process = process.expect("the command starts");
            let mut output = String::new();
            let read = process.stdout.read_to_string(&mut output).await;
            read.expect("readable output");
            assert_eq!(output, expected, "{}", bed.isolation);
        }
        sandbox.kill(Duration::ZERO).await;
    }
}

#[tokio::test]
async fn exec_ends_with_the_command_that_ran() {
    for bed in TestBed::each().await {
        let script = "until [ -e go ]; do sleep 0.1; done";
        let (_task, sandbox) = start_with(&bed, bed.engine(), script).await;
        let process = sandbox.exec(command("echo > go; exec sleep 600")).await;
        let mut process = process.expect("the command starts");
        let ended = sandbox.wait().await.expect("the task ends");
        assert!(ended.exit().success());
        let read = process.stdout.read_to_end(&mut Vec::new()).await;
        read.expect("the output ends");
    }
}
