//! The programs of a task, and what is left when they fail or are stopped.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use runtime_core::{Environment, TemporaryStorage, WorkerIdentity};
use runtime_mocks::TestTask;
use runtime_worker::{Capability, Engine as _, Exit, Sandbox as _, SandboxBuilder as _, TaskRun};
use serde_json::json;
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

use super::config::CommandsConfig;
use super::sandbox::{CommandsSandbox, Stages};
use crate::engine::ProcessEngine;
use crate::kill_sequence::KillSequence;
use crate::sandbox_builder::ProcessSandboxBuilder;

/// Much more than any test needs.
const HANG: Duration = Duration::from_secs(60);

const HOUR: Duration = Duration::from_secs(3600);

/// Goes on when it receives a signal, with another line in the trace.
const STUBBORN: &str =
    "trap 'echo >> $TRACE' TERM INT; echo $$ > $TRACE; while :; do sleep 0.1; done";

/// A task without a worker, and a file to which its programs write.
struct Programs {
    task: TestTask,
    run: TaskRun,
    engine: ProcessEngine,
    folder: TempDir,
}

impl Programs {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let storage = TemporaryStorage::open(&folder.path().join("storage"));
        let identity = WorkerIdentity {
            root_url: "https://tc.example.com".to_owned(),
            task_queue_id: "test/linux".to_owned(),
            worker_group: "group".to_owned(),
            worker_id: "worker".to_owned(),
        };
        let storage = storage.expect("a folder of the test");
        let environment = Environment::builder(identity, storage).build();
        let task = TestTask::new(json!({}));
        let run = TaskRun::new(task.context().clone(), environment);
        Self {
            task,
            run,
            engine: ProcessEngine::new(),
            folder,
        }
    }

    fn trace(&self) -> String {
        fs::read_to_string(self.folder.path().join("trace")).unwrap_or_default()
    }

    /// Waits until the programs have written lines.
    async fn wait_for_lines(&self, count: usize) {
        let wait = async {
            while self.trace().matches('\n').count() < count {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(HANG, wait).await.expect("a program that writes");
    }

    async fn script(&self, script: &str) -> ProcessSandboxBuilder {
        let builder = self
            .engine
            .new_builder(&self.run, &[Capability::EnvVars])
            .await;
        let mut builder = builder.expect("an engine that starts");
        let trace = self.folder.path().join("trace").display().to_string();
        builder.set_env("TRACE", &trace).expect("a valid name");
        builder.command(["sh", "-c", script]).expect("a program");
        builder
    }

    fn stages(&self, run: ProcessSandboxBuilder) -> Stages {
        let storage = &self.run.environment.storage;
        Stages {
            folder: run.keep_folder(),
            prepare: None,
            run,
            kill: None,
            cleanup: None,
            cleanup_timeout: HOUR,
            context: self.task.context().clone(),
            _payload: storage.new_file("payload").expect("a folder of the test"),
        }
    }
}

#[tokio::test]
async fn cleanup_follows_a_fault_of_the_machine() {
    let programs = Programs::new();
    let mut run = programs.script("true").await;
    run.input("/no/such/file");
    let folder = run.folder().to_owned();
    let mut cleanup = programs.script("pwd > $TRACE").await;
    cleanup.help(&run);
    let stages = Stages {
        cleanup: Some(cleanup),
        ..programs.stages(run)
    };
    let sandbox = CommandsSandbox::start(stages);
    assert!(sandbox.wait().await.is_err());
    assert_eq!(Path::new(programs.trace().trim_end()), folder);
    assert!(!folder.exists());
}

#[tokio::test]
async fn shortened_deadline_ends_each_phase() {
    // The first hangs; after the second, signals follow at once.
    for kill in ["echo >> $TRACE; sleep 600", "exit 1"] {
        let mut programs = Programs::new();
        programs.engine = ProcessEngine::new().kill_sequence(KillSequence::new(HOUR, HOUR));
        let stages = Stages {
            kill: Some(programs.script(kill).await),
            ..programs.stages(programs.script(STUBBORN).await)
        };
        let sandbox = Arc::new(CommandsSandbox::start(stages));
        programs.wait_for_lines(1).await;
        let killed = {
            let sandbox = Arc::clone(&sandbox);
            tokio::spawn(async move { sandbox.kill(HOUR).await })
        };
        programs.wait_for_lines(2).await;
        let ended = timeout(HANG, sandbox.kill(Duration::ZERO)).await;
        assert!(ended.is_ok(), "{kill}");
        killed.await.expect("no panic");
        let result = sandbox.wait().await.expect("a result");
        assert_eq!(result.exit(), Exit::Killed);
    }
}

#[tokio::test]
async fn cleanup_ends_before_its_task() {
    let programs = Programs::new();
    let stages = Stages {
        cleanup: Some(programs.script(STUBBORN).await),
        ..programs.stages(programs.script("true").await)
    };
    let sandbox = CommandsSandbox::start(stages);
    programs.wait_for_lines(1).await;
    let pid = programs.trace();
    sandbox.kill(Duration::ZERO).await;
    assert!(!Path::new("/proc").join(pid.trim_end()).exists());
    sandbox.wait().await.expect("a result");
    let log = programs.task.log();
    assert!(log.contains("no time was left"), "{log}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn only_run_ends_when_memory_is_low() {
    let programs = Programs::new();
    let meminfo = programs.folder.path().join("meminfo");
    let text = "MemTotal: 4194304 kB\nMemAvailable: 512 kB\n";
    fs::write(&meminfo, text).expect("a folder of the test");
    let trace = programs.folder.path().join("trace");
    let large = "text=$(head -c 20M /dev/zero | tr '\\0' a); echo >> $TRACE; sleep 600; echo $text";
    let wait = "echo >> $TRACE; sleep 600";
    let engine = |prepare: &str, run: &str| {
        let config = json!({
            "prepare": ["sh", "-c", prepare],
            "run": ["sh", "-c", run],
            "env": { "PATH": "/usr/bin:/bin", "TRACE": trace },
            "payloadSchema": { "type": "object", "properties": {} },
            "abortOnHighMemory": { "minAvailable": "1 MiB", "duration": "0 s" },
        });
        let config: CommandsConfig = serde_json::from_value(config).expect("valid settings");
        config.to_engine().expect("valid settings")
    };
    // Both are watched by the same engine.
    let mut large = engine(large, "true");
    large.processes = large.processes.meminfo(&meminfo);
    let mut small = engine("true", wait);
    small.processes = large.processes.clone();
    let builder = large.new_sandbox_builder(&programs.run).await;
    let prepared = builder.expect("a valid payload").start().await;
    let prepared = prepared.expect("it starts");
    programs.wait_for_lines(1).await;
    let builder = small.new_sandbox_builder(&programs.run).await;
    let run = builder.expect("a valid payload").start().await;
    let run = run.expect("it starts");
    let ended = timeout(HANG, run.wait()).await.expect("it ends");
    assert_eq!(ended.expect("a result").exit(), Exit::Signal(9));
    let log = programs.task.log();
    assert!(log.contains("Out of memory: the worker ended"), "{log}");
    let goes_on = timeout(Duration::ZERO, prepared.wait()).await;
    assert!(goes_on.is_err(), "{log}");
    prepared.kill(Duration::ZERO).await;
}
