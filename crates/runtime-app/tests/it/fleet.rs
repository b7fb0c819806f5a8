//! The configuration of many workers: values from outside, layers, limits and exit codes.

use std::io::Write as _;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use runtime_core::Timestamp;
use runtime_taskcluster_embedded::Taskcluster;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{Program, config, file, folder, greeter, run};

const SECRET: &str = "a-secret-of-some-length";

/// An embedded Taskcluster with a static worker, and the settings of this worker.
pub(crate) struct Fleet {
    pub(crate) taskcluster: Taskcluster,
    pub(crate) folder: TempDir,
    pub(crate) settings: Value,
}

impl Fleet {
    pub(crate) async fn new() -> Self {
        // Short, because a worker that stops waits for its claim.
        let taskcluster = Taskcluster::builder().long_poll(Duration::from_millis(500));
        let taskcluster = taskcluster.start().await.expect("a free port");
        taskcluster.add_static_worker("pool/linux", "group", "id", SECRET);
        let folder = folder();
        let mut settings = config(&folder.path().join("data"), &json!({}));
        settings["worker"]["rootUrl"] = json!(taskcluster.root_url());
        settings["worker"]["registration"] = json!({
            "provider": "static",
            "staticSecret": SECRET,
            "stateFile": folder.path().join("registration.json"),
        });
        Self {
            taskcluster,
            folder,
            settings,
        }
    }

    pub(crate) fn command(&self, command: &str) -> Command {
        let path = file(&self.folder, "worker.json", &self.settings);
        let mut greeter = greeter(&self.folder);
        greeter.args([command, "--config"]).arg(path);
        greeter
    }

    /// Returns a command with credentials from the environment, instead of a registration.
    fn as_root(&self, command: &str) -> Command {
        let mut settings = self.settings.clone();
        settings["worker"]["registration"] = Value::Null;
        let path = file(&self.folder, "root.json", &settings);
        let credentials = self.taskcluster.credentials();
        let token = credentials.secrets().next().unwrap_or_default();
        let mut greeter = greeter(&self.folder);
        greeter
            .args([command, "--config"])
            .arg(path)
            .env("TASKCLUSTER_CLIENT_ID", &credentials.client_id)
            .env("TASKCLUSTER_ACCESS_TOKEN", token);
        greeter
    }

    pub(crate) fn create(&self, name: &str) -> String {
        let payload = json!({ "name": name });
        let hour = Duration::from_secs(3600);
        let now = Timestamp::now();
        let task = json!({
            "taskQueueId": "pool/linux",
            "created": now.to_string(),
            "deadline": (now + hour).to_string(),
            "expires": (now + 24 * hour).to_string(),
            "payload": payload,
            "metadata": { "name": name, "description": "", "owner": "me@example.com", "source": "https://x.example/" },
        });
        self.taskcluster.create_task(task).expect("a valid task")
    }

    /// Runs a command to its end, while the embedded Taskcluster responds.
    pub(crate) async fn run(&self, mut command: Command) -> (Output, String) {
        let ended = tokio::task::spawn_blocking(move || run(&mut command));
        ended.await.expect("no panic")
    }

    async fn text_of_first_task(&self, task_id: &str) -> String {
        let log = "public/logs/live_backing.log";
        let log = self.taskcluster.read_artifact_text(task_id, log).await;
        log.expect("a log")
    }
}

#[test]
fn values_are_read_from_the_environment() {
    let folder = folder();
    let mut settings = config(
        folder.path(),
        &json!({ "greeting": { "$env": "GREETING" } }),
    );
    settings["worker"]["workerId"] = json!({ "$env": "MACHINE" });
    settings["worker"]["workerGroup"] = json!({ "$file": "group" });
    std::fs::write(folder.path().join("group"), "from-file\n").expect("the folder is ours");
    let path = file(&folder, "worker.json", &settings);
    let mut command = greeter(&folder);
    command
        .args(["print-config", "--local", "--config"])
        .arg(path);
    let (output, text) = run(&mut command);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for part in [
        "`worker.workerId`: the variable `MACHINE` is not set",
        "`engine.greeting`: ",
    ] {
        assert!(text.contains(part), "`{part}` is not in {text}");
    }
    let (output, text) = run(command.envs([("MACHINE", "i-7"), ("GREETING", "Ahoy")]));
    assert!(output.status.success(), "{text}");
    assert!(text.contains("workerId: i-7\n"), "{text}");
    assert!(text.contains("greeting: Ahoy\n"), "{text}");
    assert!(!text.contains("from-file"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn layers_of_the_pool_are_effective() {
    let mut fleet = Fleet::new().await;
    fleet.settings["engine"] = json!({ "greeting": "Hello" });
    let task_id = fleet.create("world");
    let pool = json!({
        "greeter": {
            "config": { "engine": { "greeting": "Ahoy" }, "worker": { "maxTasks": 1 } },
            "files": [],
        },
    });
    fleet.taskcluster.set_worker_config("pool/linux", pool);
    let (output, text) = fleet.run(fleet.command("run")).await;
    assert_eq!(output.status.code(), Some(0), "{text}");
    let log = fleet.text_of_first_task(&task_id).await;
    assert!(log.contains("Ahoy, world!"), "{log}");
    // Over the configuration of the pool, which the state file has kept.
    let secret = json!({ "engine": { "greeting": { "$secret": "words", "$key": "greeting" } } });
    fleet
        .taskcluster
        .set_secret("worker-pool:pool/linux", secret);
    let (output, text) = fleet.run(fleet.command("print-config")).await;
    assert_eq!(output.status.code(), Some(1), "{text}");
    let expected = "cannot fetch the secret `words`, which needs the scope `secrets:get:words`";
    assert!(text.contains(expected), "{text}");
    let secret = json!({ "engine": { "greeting": "Moin" } });
    fleet
        .taskcluster
        .set_secret("worker-pool:pool/linux", secret);
    let (output, text) = fleet.run(fleet.command("print-config")).await;
    assert!(output.status.success(), "{text}");
    assert!(text.contains("greeting: Moin\n"), "{text}");
    assert!(text.contains("maxTasks: 1\n"), "{text}");
    let task_id = fleet.create("again");
    let (output, text) = fleet.run(fleet.command("run")).await;
    assert_eq!(output.status.code(), Some(0), "{text}");
    let log = fleet.text_of_first_task(&task_id).await;
    assert!(log.contains("Moin, again!"), "{log}");
    fleet.taskcluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn secrets_are_fetched_and_hidden() {
    let mut fleet = Fleet::new().await;
    fleet.settings["worker"]["maxTasks"] = json!(1);
    fleet.settings["engine"] = json!({ "greeting": { "$secret": "greeting" } });
    fleet
        .taskcluster
        .set_secret("greeting", json!({ "word": "Psst" }));
    let task_id = fleet.create("world");
    let (output, text) = fleet.run(fleet.as_root("print-config")).await;
    assert!(output.status.success(), "{text}");
    assert!(text.contains("greeting: '[REDACTED]'\n"), "{text}");
    let (output, text) = fleet.run(fleet.as_root("check")).await;
    assert!(output.status.success(), "{text}");
    assert!(text.contains("ok: the data folder `"), "{text}");
    let (output, text) = fleet.run(fleet.as_root("run")).await;
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(!text.contains("Psst"), "{text}");
    let log = fleet.text_of_first_task(&task_id).await;
    assert!(log.contains("Psst, world!"), "{log}");
    fleet.taskcluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn log_does_not_contain_secrets() {
    let mut fleet = Fleet::new().await;
    // Logged when the caches are opened.
    let data = fleet.folder.path().join("hunter2-hunter2");
    fleet.settings["worker"]["dataFolder"] = json!({ "$secret": "folder" });
    fleet.settings["worker"]["maxLifeTime"] = json!("1 s");
    let pool = json!({ "config": { "worker": { "shutdown": ["signals"] } } });
    fleet.taskcluster.set_secret("worker-pool:pool/linux", pool);
    fleet.settings["worker"]["registration"] = Value::Null;
    fleet
        .taskcluster
        .set_secret("folder", json!({ "path": data }));
    let credentials = fleet.taskcluster.credentials();
    let mut command = fleet.command("run");
    let token = credentials.secrets().next().unwrap_or_default();
    command
        .env("TASKCLUSTER_CLIENT_ID", &credentials.client_id)
        .env("TASKCLUSTER_ACCESS_TOKEN", token);
    let (output, text) = fleet.run(command).await;
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(
        text.contains("opened the folder cache root=[REDACTED]"),
        "{text}"
    );
    assert!(!text.contains("hunter2"), "{text}");
    fleet.taskcluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn layers_cannot_change_the_identity() {
    let fleet = Fleet::new().await;
    let pool = json!({ "worker": { "rootUrl": "https://attacker.example" } });
    fleet.taskcluster.set_worker_config("pool/linux", pool);
    let (output, text) = fleet.run(fleet.command("run")).await;
    assert_eq!(output.status.code(), Some(1), "{text}");
    let expected = "in the `workerConfig` of the worker pool: `worker.rootUrl` can be set in the configuration file only";
    assert!(text.contains(expected), "{text}");
    fleet.taskcluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn data_folder_below_a_file_fails() {
    let mut fleet = Fleet::new().await;
    let data = file(&fleet.folder, "file", &json!(1)).join("data");
    fleet.settings["worker"]["dataFolder"] = json!(data);
    let (output, text) = fleet.run(fleet.as_root("check")).await;
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("failed: cannot write to the data folder `"),
        "{text}"
    );
    fleet.taskcluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn worker_runner_writes_layers() {
    let fleet = Fleet::new().await;
    let credentials = fleet.taskcluster.credentials();
    let base = json!({
        "worker": { "dataFolder": fleet.folder.path().join("data") },
        "engine": { "greeting": "Hello" },
        "monitoring": { "log": { "level": "info" } },
    });
    let runner = json!({
        "rootURL": fleet.taskcluster.root_url(),
        "clientId": credentials.client_id,
        "accessToken": credentials.secrets().next().unwrap_or_default(),
        "certificate": "",
        "provisionerId": "pool",
        "workerType": "linux",
        "workerGroup": "group",
        "workerId": "id",
        "workerTypeMetadata": { "instance-type": "m5" },
        "configFile": file(&fleet.folder, "base.json", &base),
        "engine": { "greeting": "Ahoy" },
    });
    let path = file(&fleet.folder, "runner.json", &runner);
    let mut command = greeter(&fleet.folder);
    command
        .args(["run", "--with-worker-runner", "--config"])
        .arg(path)
        .stdin(Stdio::piped())
        .stdout(Stdio::null());
    let task_id = fleet.create("world");
    let mut child = Program::start(&mut command);
    let mut input = child.stdin.take().expect("a pipe");
    let welcome = r#"~{"type":"welcome","capabilities":["log","graceful-termination"]}"#;
    writeln!(input, "{welcome}").expect("the worker reads");
    let resolved = fleet.taskcluster.wait_until_resolved(&task_id);
    let resolved = tokio::time::timeout(Duration::from_secs(60), resolved).await;
    let status = resolved.expect("in time").expect("a task");
    assert_eq!(status.state_and_reason(), "completed");
    let log = fleet.text_of_first_task(&task_id).await;
    assert!(log.contains("Ahoy, world!"), "{log}");
    let stop = r#"~{"type":"graceful-termination","finish-tasks":true}"#;
    writeln!(input, "{stop}").expect("the worker reads");
    let status = tokio::task::spawn_blocking(move || child.wait()).await;
    let status = status.expect("no panic").expect("a child");
    assert_eq!(status.code(), Some(72));
    fleet.taskcluster.stop().await;
}

#[cfg(unix)]
pub(crate) fn signal(child: &Child, signal: &str) {
    let killed = Command::new("kill")
        .args([signal, &child.id().to_string()])
        .status();
    assert!(killed.expect("`kill` exists").success());
}
