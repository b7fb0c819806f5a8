//! Tasks behind walls: what they can do, and the settings.
#![cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use async_trait::async_trait;
use runtime_core::{TaskError, error_chain};
use runtime_process::{ProcessConfig, ProcessEngine, TaskIsolation, TaskNetwork};
use runtime_sandbox::{Isolation, SandboxCommand, StdStream};
use runtime_worker::plugins::ResourceUsage;
use runtime_worker::{Engine as _, FolderAccess, Plugin, SandboxBuilder, TaskPlugin, TaskRun};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;

use crate::cgroups::reports_of;
use crate::support::{TestBed, is_isolated, process_engine, run_isolated_as_user, sh};

/// Set in a worker that runs in a sandbox.
const INSIDE: &str = "RUNTIME_PROCESS_TEST_INSIDE";

/// Returns a test bed for each isolation with walls.
pub(crate) async fn isolated_beds() -> Vec<TestBed> {
    let beds = TestBed::each().await.into_iter();
    beds.filter(|bed| bed.isolation != TaskIsolation::None)
        .collect()
}

/// Runs a task that must complete, and returns its log.
pub(crate) async fn log_of(bed: &TestBed, payload: Value) -> String {
    let (task_id, state) = bed.run_task(payload).await;
    let log = bed.log(&task_id).await;
    assert_eq!(state, "completed", "{log}");
    log
}

pub(crate) fn script_with(script: &str, env: Value) -> Value {
    json!({ "command": ["sh", "-c", script], "env": env })
}

#[tokio::test]
async fn network_is_that_of_the_setting() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    let script = format!(
        "perl -MIO::Socket::INET -e 'print IO::Socket::INET->new(\"127.0.0.1:{port}\") ? \"reached\\n\" : \"closed\\n\"'"
    );
    for bed in isolated_beds().await {
        for (network, expected) in [
            (TaskNetwork::Host, "reached"),
            (TaskNetwork::Outbound, "closed"),
            (TaskNetwork::None, "closed"),
        ] {
            let engine = bed.engine().network(network);
            // Not every machine has `pasta`.
            if network == TaskNetwork::Outbound
                && let Err(error) = engine.prepare(&bed.environment()).await
            {
                let error = error_chain(&error);
                assert!(error.contains("`passt`"), "{error}");
                println!("skipped with an outbound network: {error}");
                continue;
            }
            let task_id = bed.create(sh(&script));
            let running = bed.start(bed.worker_with(engine));
            bed.resolved(&task_id).await;
            running.stop().await;
            let log = bed.log(&task_id).await;
            assert!(
                log.contains(&format!("\n{expected}\n")),
                "{network:?}: {log}"
            );
        }
    }
}

/// Attaches a folder that tasks may change as `cache`, and a copy of another as `input`.
#[derive(Debug)]
struct Attach {
    cache: PathBuf,
    input: PathBuf,
}

#[async_trait]
impl Plugin for Attach {
    fn name(&self) -> &'static str {
        "attach"
    }

    async fn new_task_plugin(&self, _: &TaskRun) -> Result<Option<Box<dyn TaskPlugin>>, TaskError> {
        let Self { cache, input } = self;
        Ok(Some(Box::new(Self {
            cache: cache.clone(),
            input: input.clone(),
        })))
    }
}

#[async_trait]
impl TaskPlugin for Attach {
    async fn build_sandbox(&mut self, builder: &mut dyn SandboxBuilder) -> Result<(), TaskError> {
        builder.attach_folder(&self.cache, "cache", FolderAccess::ReadWrite)?;
        builder.attach_copy(&self.input, "input")?;
        Ok(())
    }
}

#[tokio::test]
async fn caches_and_inputs_are_attached() {
    for bed in TestBed::each().await {
        let folders = tempfile::tempdir().expect("a folder for the test");
        let [cache, input] = ["cache", "input"].map(|name| {
            let folder = folders.path().join(name);
            fs::create_dir_all(folder.join("deep")).expect("a folder of the test");
            fs::write(folder.join("deep/file"), "old\n").expect("a file of the test");
            folder
        });
        let script = "cat input/deep/file; for it in cache input; do echo $N >>$it/deep/file; echo $N >$it/new; done; cat cache/deep/file";
        let attach = || Attach {
            cache: cache.clone(),
            input: input.clone(),
        };
        let mut users = Vec::new();
        for run in ["1", "2"] {
            let task_id = bed.create(script_with(script, json!({ "N": run })));
            let running = bed.start(bed.worker().plugin(attach()));
            let state = bed.resolved(&task_id).await.state_and_reason();
            running.stop().await;
            assert_eq!(state, "completed", "{}", bed.log(&task_id).await);
            // The next task has another user than this one, as if both ran at the same time.
            users.push(Isolation::strict().lease_user());
        }
        let read = |path: PathBuf| fs::read_to_string(path).expect("a file of the test");
        assert_eq!(read(cache.join("deep/file")), "old\n1\n2\n");
        assert_eq!(read(cache.join("new")), "2\n");
        assert_eq!(read(input.join("deep/file")), "old\n");
        assert!(!input.join("new").exists());
        bed.assert_no_leftovers();
    }
}

#[tokio::test]
async fn invisible_program_is_explained() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let program = folder.path().join("tool");
    fs::write(&program, "#!/bin/sh\n").expect("a file of the test");
    for path in [folder.path(), &program] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("its mode");
    }
    for bed in isolated_beds().await {
        let payload = json!({ "command": [program] });
        let (task_id, state) = bed.run_task(payload.clone()).await;
        let log = bed.log(&task_id).await;
        assert_eq!(state, "failed");
        let expected = format!("isolated tasks do not see `{}`", program.display());
        assert!(log.contains(&expected), "{log}");
        let engine = bed.engine().visible_path(folder.path());
        let task_id = bed.create(payload);
        let running = bed.start(bed.worker_with(engine));
        assert_eq!(bed.resolved(&task_id).await.state_and_reason(), "completed");
        running.stop().await;
    }
}

#[tokio::test]
async fn hidden_path_appears_empty() {
    for bed in isolated_beds().await {
        let [shown, hidden] = ["shown", "hidden"].map(|name| bed.marker(name));
        for file in [&shown, &hidden] {
            fs::write(file, "content\n").expect("a file of the test");
        }
        let payload = script_with(
            "cat $SHOWN $HIDDEN | wc -l",
            json!({ "SHOWN": shown, "HIDDEN": hidden }),
        );
        let task_id = bed.create(payload);
        let running = bed.start(bed.worker_with(bed.engine().hidden_path(&hidden)));
        bed.resolved(&task_id).await;
        running.stop().await;
        let log = bed.log(&task_id).await;
        assert!(log.contains("\n1\n"), "{log}");
    }
}

#[tokio::test]
async fn usage_of_the_command_is_reported() {
    for bed in TestBed::each().await {
        let task_id = bed.create(sh("i=0; while [ $i -lt 100000 ]; do i=$((i + 1)); done"));
        let running = bed.start(bed.worker().plugin(ResourceUsage::new()));
        bed.resolved(&task_id).await;
        running.stop().await;
        let log = bed.log(&task_id).await;
        let usage = log.lines().find(|line| line.contains("Resources: "));
        let usage = usage.unwrap_or_else(|| panic!("no usage in {log}"));
        assert!(usage.contains("peak memory"), "{usage}");
        assert!(!usage.contains(" 0.00 s CPU time"), "{usage}");
    }
}

/// Prepares an engine and returns its error.
async fn refusal(bed: &TestBed, engine: ProcessEngine) -> String {
    let prepared = engine.prepare(&bed.environment()).await;
    error_chain(&prepared.expect_err("it is impossible"))
}

#[tokio::test]
async fn impossible_settings_are_errors_at_start() {
    let bed = TestBed::new().await;
    let error = refusal(&bed, process_engine().network(TaskNetwork::None)).await;
    assert!(error.contains("set the isolation to"), "{error}");
    for bed in isolated_beds().await {
        let error = refusal(&bed, bed.engine().visible_path(bed.storage())).await;
        let storage = bed.storage().display().to_string();
        assert!(
            error.contains(&storage) && error.contains("move it"),
            "{error}"
        );
        let error = refusal(&bed, bed.engine().visible_path("/no/such/folder")).await;
        let expected = format!("with the isolation `{}`: the wall `files`", bed.isolation);
        assert!(error.contains(&expected), "{error}");
        assert!(
            error.contains("`/no/such/folder`; does it exist"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn settings_are_read_from_the_configuration() {
    for bed in isolated_beds().await {
        let config = json!({
            "isolation": bed.isolation.to_string(),
            "network": "none",
            "visiblePaths": [bed.marker("")],
            "hiddenPaths": [bed.marker("hidden")],
        });
        fs::write(bed.marker("hidden"), "content\n").expect("a file of the test");
        fs::write(bed.marker("shown"), "content\n").expect("a file of the test");
        let config: ProcessConfig = serde_json::from_value(config).expect("valid settings");
        let payload = script_with(
            "cat $MARKERS/* | wc -l; tail -n +3 /proc/net/dev | wc -l",
            json!({ "MARKERS": bed.marker("") }),
        );
        let task_id = bed.create(payload);
        let running = bed.start(bed.worker_with(config.to_engine()));
        bed.resolved(&task_id).await;
        running.stop().await;
        let log = bed.log(&task_id).await;
        // One of two files, and one network interface.
        assert!(log.contains("\n1\n1\n"), "{log}");
    }
}

#[tokio::test]
async fn missing_wall_is_an_error_at_start() {
    // A worker in a sandbox of another one may not create namespaces.
    let this = std::env::current_exe().expect("this program has a path");
    let worker = SandboxCommand::new(this)
        .args(["--exact", "isolation::worker_without_rights", "--nocapture"])
        .env(INSIDE, "1")
        .current_dir("/")
        .stdout(StdStream::Pipe)
        .isolation(Isolation::user())
        .spawn()
        .await;
    let mut worker = match worker {
        Ok(worker) => worker,
        Err(error) => return println!("skipped: {error}"),
    };
    let mut output = String::new();
    let stdout = worker.stdout.as_mut().expect("it is a pipe");
    stdout
        .read_to_string(&mut output)
        .await
        .expect("its output");
    worker.wait().await.expect("it ends");
    assert!(
        output.contains("with the isolation `strict`") && output.contains("user namespaces"),
        "{output}"
    );
}

/// Run by the test above. Does nothing elsewhere.
#[tokio::test]
async fn worker_without_rights() {
    if std::env::var_os(INSIDE).is_some() {
        let bed = TestBed::new().await;
        let engine = bed.engine().isolation(TaskIsolation::Strict);
        println!("{}", refusal(&bed, engine).await);
    }
}

#[tokio::test]
async fn isolation_is_reported_at_start() {
    for bed in TestBed::each().await {
        let reports = reports_of(bed.engine(), &bed).await;
        let expected = match bed.isolation {
            TaskIsolation::Strict => {
                "walls (user, privileges, files, processes, ipc, host name, \
                 control groups, system calls, landlock), the network of the machine"
            }
            TaskIsolation::None => "no isolation, tasks run as the worker's user",
            _ => {
                "walls (user, privileges, files, processes, ipc, system calls), the network of the machine"
            }
        };
        assert!(reports[0].contains(expected), "{reports:?}");
    }
}

#[tokio::test]
async fn walls_hold_for_an_ordinary_user() {
    if !is_isolated() {
        run_isolated_as_user("isolation", 11).await;
    }
}
