//! The environment, output, exit and artifacts of commands, and the end of their processes.

use runtime_core::log::OutputLimit;
use serde_json::{Value, json};

use crate::support::{TestBed, is_running, sh, unique_seconds, wait_until};

/// Runs a task with each isolation. Returns the logs and states.
async fn logs_of(payload: Value) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for bed in TestBed::each().await {
        all.push(log_in(&bed, payload.clone()).await);
    }
    all
}

/// Runs a task. Returns its log and state.
async fn log_in(bed: &TestBed, payload: Value) -> (String, String) {
    let (task_id, state) = bed.run_task(payload).await;
    (bed.log(&task_id).await, state)
}

#[tokio::test]
async fn output_streams_keep_their_order() {
    for (log, _) in logs_of(sh(
        "for i in 1 2 3 4 5; do echo out $i; echo err $i >&2; done",
    ))
    .await
    {
        let lines: Vec<_> = log.lines().filter(|line| !line.starts_with('[')).collect();
        let expected: Vec<_> = (1..=5)
            .flat_map(|i| [format!("out {i}"), format!("err {i}")])
            .collect();
        assert_eq!(lines, expected);
    }
}

#[tokio::test]
async fn commands_run_in_order_until_one_fails() {
    let payload = json!({ "command": [["echo", "first"], ["false"], ["echo", "never"]] });
    for (log, state) in logs_of(payload).await {
        assert_eq!(state, "failed");
        assert!(log.contains("\nfirst\n") && !log.contains("never"), "{log}");
    }
}

#[tokio::test]
async fn task_inherits_no_worker_variables() {
    let payload = json!({ "command": ["env"], "env": { "COLOUR": "blue" } });
    for (log, _) in logs_of(payload).await {
        assert!(log.contains("\nCOLOUR=blue\n"), "{log}");
        // Cargo sets this for the worker of this test.
        assert!(!log.contains("CARGO_MANIFEST_DIR"), "{log}");
    }
}

#[tokio::test]
async fn task_variables_identify_the_run() {
    for bed in TestBed::each().await {
        let (task_id, _) = bed.run_task(json!({ "command": ["env"] })).await;
        let log = bed.log(&task_id).await;
        let status = bed.taskcluster.status(&task_id).expect("the task exists");
        for (name, value) in [
            ("TASK_ID", &*task_id),
            ("RUN_ID", "0"),
            ("TASK_GROUP_ID", &status.task_group_id),
            ("TASKCLUSTER_ROOT_URL", bed.taskcluster.root_url()),
            ("TASKCLUSTER_WORKER_GROUP", "group"),
        ] {
            let line = format!("\n{name}={value}\n");
            assert!(log.contains(&line), "{name}={value} is not in {log}");
        }
    }
}

#[tokio::test]
async fn missing_command_fails_the_task() {
    for (log, state) in logs_of(json!({ "command": ["no-such-program", "x"] })).await {
        assert_eq!(state, "failed");
        assert!(
            log.contains("[taskcluster:error] cannot start `no-such-program`: No such file"),
            "{log}"
        );
    }
}

#[tokio::test]
async fn failed_start_is_explained() {
    let script = "printf '#!/bin/sh\\r\\n' > dos; printf '#!/no/such/sh\\n' > lost; chmod +x dos lost; touch data";
    for (program, expected) in [
        ("./dos", "(os error 2): its first line ends with CR LF"),
        (
            "./lost",
            "(os error 2): its interpreter `/no/such/sh` does not exist",
        ),
        ("./data", "(os error 13): the file is not executable"),
        ("missing", "(os error 2): no folder of `PATH` has it"),
    ] {
        let payload = json!({ "command": [["sh", "-c", script], [program]] });
        for (log, state) in logs_of(payload).await {
            assert_eq!(state, "failed");
            assert!(log.contains(expected), "{program}: {log}");
        }
    }
}

#[tokio::test]
async fn removed_working_folder_is_named() {
    let payload = json!({ "command": [["sh", "-c", "rmdir \"$PWD\""], ["true"]] });
    // Behind walls, the folder is a mount, which cannot be removed.
    let (log, state) = log_in(&TestBed::new().await, payload).await;
    assert_eq!(state, "failed");
    assert!(log.contains("cannot start `true`: No such file"), "{log}");
    assert!(log.contains("the working folder `/"), "{log}");
}

#[tokio::test]
async fn command_is_found_in_task_path() {
    let script = "mkdir first second; echo 'echo never' > first/tool; echo 'echo ran $1' > second/tool; chmod +x second/tool";
    let tool = |path: &str| json!({ "command": [["/bin/sh", "-c", script], ["tool", "well"]], "env": { "PATH": path } });
    // A file that names no interpreter is the shell's.
    for (log, state) in logs_of(tool("/nowhere:first:second:/bin:/usr/bin")).await {
        assert_eq!(state, "completed", "{log}");
        assert!(log.contains("\nran well\n"), "{log}");
    }
    for (log, state) in logs_of(tool("first:/bin:/usr/bin")).await {
        assert_eq!(state, "failed");
        assert!(
            log.contains("cannot start `tool`: Permission denied"),
            "{log}"
        );
    }
}

#[tokio::test]
async fn nul_byte_in_argument_fails_the_task() {
    for (log, state) in logs_of(json!({ "command": ["echo", "a\0b"] })).await {
        assert_eq!(state, "failed");
        assert!(
            log.contains("cannot start `echo`: an argument contains a NUL byte"),
            "{log}"
        );
    }
}

mod resource_exhaustion {
    use std::fs::File;
    use std::sync::Arc;

    use async_trait::async_trait;
    use runtime_core::TaskError;
    use runtime_worker::{Plugin, Sandbox, SandboxBuilder, TaskPlugin, TaskRun};
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    use super::*;
    use crate::support::{is_isolated, run_isolated};

    /// Opens all files that this process may open, and closes them when the task has ended.
    #[derive(Debug)]
    struct FileHoarder;

    struct OpenFiles(Vec<File>);

    #[async_trait]
    impl Plugin for FileHoarder {
        fn name(&self) -> &'static str {
            "file-hoarder"
        }

        async fn new_task_plugin(
            &self,
            _: &TaskRun,
        ) -> Result<Option<Box<dyn TaskPlugin>>, TaskError> {
            Ok(Some(Box::new(OpenFiles(Vec::new()))))
        }
    }

    #[async_trait]
    impl TaskPlugin for OpenFiles {
        async fn build_sandbox(&mut self, _: &mut dyn SandboxBuilder) -> Result<(), TaskError> {
            let files = std::iter::from_fn(|| File::open("/dev/null").ok());
            self.0.extend(files);
            Ok(())
        }

        async fn started(&mut self, sandbox: &Arc<dyn Sandbox>) -> Result<(), TaskError> {
            let ended = sandbox.wait().await.map(drop);
            self.0.clear();
            ended
        }
    }

    #[tokio::test]
    async fn failed_start_is_an_internal_error() {
        run_isolated("commands::resource_exhaustion::no_files").await;
    }

    /// Run by the test above in another process. Does nothing elsewhere.
    #[tokio::test]
    async fn no_files() {
        if !is_isolated() {
            return;
        }
        let few = Rlimit {
            current: Some(200),
            ..getrlimit(Resource::Nofile)
        };
        setrlimit(Resource::Nofile, few).expect("it may be lowered");
        let bed = TestBed::new().await;
        let task_id = bed.create(sh("true"));
        let running = bed.start(bed.worker().plugin(FileHoarder));
        let status = bed.resolved(&task_id).await;
        running.stop().await;
        assert_eq!(status.state_and_reason(), "exception/internal-error");
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn task_starts_with_default_signals_and_empty_stdin() {
    // This process ignores at least `SIGPIPE`, as every Rust program does.
    for (log, _) in logs_of(sh("grep '^Sig[BI]' /proc/self/status; wc -c")).await {
        assert!(log.contains("\nSigBlk:\t0000000000000000\n"), "{log}");
        let ignored = log
            .lines()
            .find_map(|line| line.strip_prefix("SigIgn:\t"))
            .and_then(|mask| u64::from_str_radix(mask, 16).ok());
        // The C library reserves two signals and does not let a program reset them.
        let own = 0b11 << 31;
        assert_eq!(ignored.map(|mask| mask & !own), Some(0), "{log}");
        assert!(log.contains("\n0\n"), "{log}");
    }
}

#[tokio::test]
async fn fatal_signal_is_logged() {
    for (log, state) in logs_of(sh("kill -SEGV $$")).await {
        assert_eq!(state, "failed");
        assert!(log.contains("Task ended with signal 11"), "{log}");
    }
}

#[tokio::test]
async fn background_process_is_killed_with_the_task() {
    for bed in TestBed::each().await {
        let seconds = unique_seconds();
        let script =
            format!("sleep {seconds} & until grep -q {seconds} /proc/$!/cmdline; do :; done");
        let (log, state) = log_in(&bed, sh(&script)).await;
        assert_eq!(state, "completed", "{log}");
        // The kernel ends a killed process when it gets a CPU, which may be later than the report.
        wait_until(|| !is_running(&seconds)).await;
    }
}

#[tokio::test]
async fn invalid_variable_name_is_malformed_payload() {
    for (log, state) in logs_of(json!({ "command": ["true"], "env": { "A=B": "c" } })).await {
        assert_eq!(state, "exception/malformed-payload");
        assert!(log.contains("invalid environment variable `A=B`"), "{log}");
    }
}

mod artifacts {
    use super::*;

    fn payload(script: &str, artifact: Value) -> Value {
        json!({ "command": ["sh", "-c", script], "artifacts": [artifact] })
    }

    #[tokio::test]
    async fn folder_is_uploaded_recursively() {
        for bed in TestBed::each().await {
            let script = "mkdir -p out/deep; echo one > out/one.txt; echo two > out/deep/two.txt";
            let artifact = json!({ "name": "public/out", "type": "directory", "path": "out" });
            let (task_id, state) = bed.run_task(payload(script, artifact)).await;
            assert_eq!(state, "completed");
            assert_eq!(bed.text(&task_id, "public/out/one.txt").await, "one\n");
            assert_eq!(bed.text(&task_id, "public/out/deep/two.txt").await, "two\n");
        }
    }

    #[tokio::test]
    async fn missing_file_becomes_an_error_artifact() {
        for bed in TestBed::each().await {
            let artifact = json!({ "name": "public/a", "type": "file", "path": "a" });
            let (task_id, state) = bed.run_task(payload("true", artifact)).await;
            assert_eq!(state, "failed");
            let artifacts = bed
                .taskcluster
                .artifacts(&task_id, 0)
                .expect("the task exists");
            let kind = artifacts
                .iter()
                .find(|artifact| artifact.name == "public/a")
                .map(|found| format!("{:?}", found.kind));
            assert!(
                kind.as_ref()
                    .is_some_and(|kind| kind.contains("file-missing-on-worker")),
                "{kind:?}"
            );
        }
    }

    #[tokio::test]
    async fn missing_optional_file_is_ignored() {
        for bed in TestBed::each().await {
            let artifact =
                json!({ "name": "public/a", "type": "file", "path": "a", "optional": true });
            let (task_id, state) = bed.run_task(payload("true", artifact)).await;
            assert_eq!(state, "completed");
            assert!(!bed.log(&task_id).await.contains("[taskcluster:error]"));
        }
    }

    #[tokio::test]
    async fn links_out_of_the_folder_are_rejected() {
        for bed in TestBed::each().await {
            for path in ["link", "../../etc/passwd", "/etc/passwd"] {
                let artifact = json!({ "name": "public/a", "type": "file", "path": path });
                let task_id = bed.create(payload("ln -s /etc/passwd link", artifact));
                let running = bed.start(bed.worker());
                bed.resolved(&task_id).await;
                assert!(
                    bed.log(&task_id)
                        .await
                        .contains("leads out of the folder of the task"),
                    "{path}"
                );
                drop(running);
            }
        }
    }
}

#[tokio::test]
async fn output_over_limit_keeps_head_and_tail() {
    for bed in TestBed::each().await {
        let worker = bed.worker().output_limit(OutputLimit::new(200, 100));
        let running = bed.start(worker);
        let task_id = bed.create(sh("seq 1000"));
        bed.resolved(&task_id).await;
        let log = bed.log(&task_id).await;
        running.stop().await;
        assert!(
            log.contains("\n1\n2\n3\n") && log.contains("\n999\n1000\n["),
            "{log}"
        );
        assert!(
            log.contains("of output were dropped here: the limit is 200 bytes]\n"),
            "{log}"
        );
    }
}

#[tokio::test]
async fn long_log_is_uploaded_whole() {
    let bed = TestBed::new().await;
    let (task_id, resolution) = bed.run_task(sh("seq 500000")).await;
    assert_eq!(resolution, "completed");
    let log = bed.log(&task_id).await;
    let numbers = log.lines().filter_map(|line| line.parse::<u32>().ok());
    assert!(numbers.eq(1..=500_000), "{} bytes", log.len());
    bed.assert_no_leftovers();
}
