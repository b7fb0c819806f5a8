//! The engine by commands: its programs, their order and their failures.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use runtime_process::{CommandsConfig, CommandsConfigError};
use runtime_worker::Engine as _;
use runtime_worker::plugins::{Artifacts, TaskEnvVars, TaskLog};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{RunningWorker, TestBed, wait_until};

/// A test bed, and a folder for the traces of the programs.
struct CommandsTest {
    bed: TestBed,
    folder: TempDir,
}

impl CommandsTest {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder for the test");
        for name in ["scratch", "jobs"] {
            fs::create_dir(folder.path().join(name)).expect("a folder of the test");
        }
        let bed = TestBed::new().await;
        Self { bed, folder }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Returns the configuration with these programs.
    fn config(&self, programs: Value) -> CommandsConfig {
        let mut config = json!({
            "env": { "LOG": self.path("log"), "SCRATCH": self.path("scratch"), "JOBS": self.path("jobs") },
            "terminateTimeout": "5 s",
            "payloadSchema": {
                "type": "object",
                "properties": { "job": { "type": "string", "pattern": "^[a-z]*$" } },
            },
        });
        for (name, program) in programs.as_object().expect("an object") {
            config[name] = program.clone();
        }
        serde_json::from_value(config).expect("a valid configuration")
    }

    /// Starts a worker and creates a task.
    async fn start(&self, config: &CommandsConfig, payload: Value) -> (RunningWorker, String) {
        let engine = config.to_engine().expect("a valid configuration");
        let worker = self.bed.worker_without_plugins(Arc::new(engine));
        let worker = worker
            .plugin(TaskLog::new())
            .plugin(TaskEnvVars)
            .plugin(Artifacts::default());
        let task_id = self.bed.create(payload);
        (self.bed.start(worker), task_id)
    }

    /// Runs a task. Returns its id and resolution.
    async fn run(&self, config: &CommandsConfig, payload: Value) -> (String, String) {
        let (running, task_id) = self.start(config, payload).await;
        let state = self.bed.resolved(&task_id).await.state_and_reason();
        running.stop().await;
        self.bed.assert_no_leftovers();
        (task_id, state)
    }

    /// Returns the lines that the programs appended to a file.
    fn lines(&self) -> Vec<String> {
        let text = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

fn sh(script: &str) -> Value {
    json!(["sh", "-c", script])
}

#[tokio::test]
async fn programs_run_in_order_in_the_task_folder() {
    let test = CommandsTest::new().await;
    let config = test.config(json!({
        "prepare": sh("pwd >> $LOG; echo input > prepared; echo prepares"),
        "run": sh("pwd >> $LOG; cat prepared > result; echo runs; exit 3"),
        "cleanup": sh("pwd >> $LOG; cat result >> $LOG; echo cleans"),
    }));
    let payload =
        json!({ "artifacts": [{ "name": "public/result", "type": "file", "path": "result" }] });
    let (task_id, state) = test.run(&config, payload).await;
    assert_eq!(state, "failed");
    let lines = test.lines();
    assert_eq!(lines[0], lines[1]);
    assert_eq!(lines[1..], [&lines[0], &lines[0], "input"]);
    let log = test.bed.log(&task_id).await;
    assert!(log.contains("prepares\nruns\ncleans\n"), "{log}");
    assert_eq!(test.bed.text(&task_id, "public/result").await, "input\n");
}

#[tokio::test]
async fn every_program_reads_payload_and_variables() {
    let test = CommandsTest::new().await;
    let show =
        "test \"$TASK_FOLDER:$HOME\" = \"$(pwd):$(pwd)\" && echo $TASK_ID/$RUN_ID $(cat) >> $LOG";
    let config = test.config(json!({ "prepare": sh(show), "run": sh(show), "cleanup": sh(show) }));
    let (task_id, state) = test.run(&config, json!({ "job": "build" })).await;
    assert_eq!(state, "completed");
    let line = format!("{task_id}/0 {{\"job\":\"build\"}}");
    assert_eq!(test.lines(), [&*line, &line, &line]);
}

#[tokio::test]
async fn home_of_the_operator_is_kept() {
    let test = CommandsTest::new().await;
    let show = "echo $HOME >> $LOG";
    let mut config =
        test.config(json!({ "prepare": sh(show), "run": sh(show), "cleanup": sh(show) }));
    config.env.insert("HOME".to_owned(), "/srv/home".to_owned());
    test.run(&config, json!({})).await;
    assert_eq!(test.lines(), ["/srv/home"; 3]);
}

#[tokio::test]
async fn failed_prepare_is_an_internal_error() {
    let test = CommandsTest::new().await;
    let config = test.config(json!({
        "prepare": sh("exit 9"),
        "run": sh("echo runs >> $LOG"),
        "cleanup": sh("echo cleans >> $LOG"),
    }));
    let (task_id, state) = test.run(&config, json!({})).await;
    assert_eq!(state, "exception/internal-error");
    assert_eq!(test.lines(), ["cleans"]);
    let log = test.bed.log(&task_id).await;
    assert!(log.contains("incident"), "{log}");
}

#[tokio::test]
async fn failed_cleanup_is_logged() {
    let test = CommandsTest::new().await;
    let slow = json!({ "run": ["true"], "cleanup": ["sleep", "600"], "cleanupTimeout": "100 ms" });
    let failed = json!({ "run": ["true"], "cleanup": ["false"] });
    for (programs, reason) in [
        (failed, "exit code 1"),
        (slow, "it did not end within 100ms"),
    ] {
        let (task_id, state) = test.run(&test.config(programs), json!({})).await;
        assert_eq!(state, "completed");
        let log = test.bed.log(&task_id).await;
        let message = format!("The program `cleanup` of this worker failed: {reason}");
        assert!(log.contains(&message), "{log}");
    }
}

#[tokio::test]
async fn payload_must_fit_the_schema_of_the_operator() {
    let test = CommandsTest::new().await;
    let config = test.config(json!({ "run": sh("echo runs >> $LOG") }));
    let (task_id, state) = test.run(&config, json!({ "job": "../x" })).await;
    assert_eq!(state, "exception/malformed-payload");
    assert!(test.lines().is_empty());
    let log = test.bed.log(&task_id).await;
    assert!(log.contains("`payload.job`"), "{log}");
}

/// Copies a program of the example.
fn example(name: &str) -> Value {
    let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/commands");
    json!([programs.join(name)])
}

#[tokio::test]
async fn example_runs_a_job_and_cleans_up() {
    use std::os::unix::fs::PermissionsExt as _;

    let test = CommandsTest::new().await;
    let jobs = [
        ("build", "#!/bin/sh\necho builds in $1\ntouch $1/object\n"),
        (
            "long",
            "#!/bin/sh\ntrap 'echo saved >> $LOG; exit 0' USR1\necho ready >> $LOG\nwhile :; do sleep 0.1; done\n",
        ),
    ];
    for (name, script) in jobs {
        let path = test.folder.path().join("jobs").join(name);
        fs::write(&path, script).expect("a folder of the test");
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(&path, mode).expect("a file of the test");
    }
    let programs = ["prepare", "run", "kill", "cleanup"];
    let programs = programs.map(|name| (name.to_owned(), example(name)));
    let config = test.config(Value::Object(programs.into_iter().collect()));
    let is_clean = || {
        let scratch = fs::read_dir(test.folder.path().join("scratch"));
        scratch.expect("a folder of the test").next().is_none()
    };

    let (task_id, state) = test.run(&config, json!({ "job": "build" })).await;
    let log = test.bed.log(&task_id).await;
    assert_eq!(state, "completed", "{log}");
    assert!(log.contains("builds in "), "{log}");
    assert!(is_clean());

    // `kill` lets the job save its state before signals end it.
    let (running, task_id) = test.start(&config, json!({ "job": "long" })).await;
    wait_until(|| test.lines() == ["ready"]).await;
    test.bed.cancel(&task_id);
    test.bed.resolved(&task_id).await;
    running.stop().await;
    assert_eq!(test.lines(), ["ready", "saved"]);
    assert!(is_clean());
    test.bed.assert_no_leftovers();
}

#[test]
fn example_is_in_the_guide() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let guide = root.join("../../docs/guide/commands.md");
    let guide = fs::read_to_string(guide).expect("the guide");
    for name in ["prepare", "run", "kill", "cleanup"] {
        let program = root.join("examples/commands").join(name);
        let program = fs::read_to_string(program).expect("the example");
        assert!(
            guide.contains(&program),
            "`{name}` of the guide differs from the example"
        );
    }
}

#[test]
fn mistakes_in_the_configuration_are_named() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let file = folder.path().join("schema.json");
    fs::write(&file, "{").expect("a file of the test");
    let error = |config: Value| {
        let config: CommandsConfig = serde_json::from_value(config).expect("the right types");
        config.to_engine().map(drop).expect_err("a mistake")
    };
    let schema = json!({ "type": "object", "properties": {} });
    let no_program = error(json!({ "run": [], "payloadSchema": schema }));
    assert!(matches!(no_program, CommandsConfigError::NoProgram));
    for both in [
        json!({ "run": ["x"] }),
        json!({ "run": ["x"], "payloadSchema": schema, "payloadSchemaFile": file }),
    ] {
        assert!(matches!(error(both), CommandsConfigError::NoSchema));
    }
    for file in [file, folder.path().join("missing")] {
        let unreadable = error(json!({ "run": ["x"], "payloadSchemaFile": file }));
        assert!(unreadable.to_string().contains(&file.display().to_string()));
    }
}

#[tokio::test]
async fn schema_is_read_from_a_file() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let file = folder.path().join("schema.json");
    let schema = json!({ "type": "object", "properties": { "job": {} } });
    fs::write(&file, schema.to_string()).expect("a file of the test");
    let config = json!({ "run": ["true"], "payloadSchemaFile": file });
    let config: CommandsConfig = serde_json::from_value(config).expect("a valid configuration");
    let engine = config.to_engine().expect("a valid schema");
    assert_eq!(engine.payload_schema(), schema);
}
