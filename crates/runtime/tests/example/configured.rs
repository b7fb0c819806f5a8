//! The example worker, told by a file what to do.

use std::path::Path;
use std::process::{Child, Stdio};

use runtime::mocks::taskcluster::{TaskStatus, Taskcluster};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{file, folder, follow, read_until, run, signal, signal_until_ended, worker};

const SECRET: &str = "a-secret-of-some-length";

/// What a worker that registers itself is told.
fn settings(taskcluster: &Taskcluster, data: &Path) -> Value {
    json!({
        "worker": {
            "rootUrl": taskcluster.root_url(),
            "taskQueueId": "pool/linux",
            "workerGroup": "group",
            "workerId": "id",
            "registration": { "providerId": "static", "staticSecret": SECRET },
            "dataFolder": data,
            "collector": { "limits": { "minFreeDisk": { "limit": "1 MiB", "rest": "2 MiB" } } },
            "plugins": { "logPrefix": { "image": "debian-13" }, "cacheScopes": "demo:cache:" },
        },
    })
}

/// A Taskcluster with a pool for one worker, which works as a file says.
struct Site {
    taskcluster: Taskcluster,
    worker: Option<Child>,
    scratch: TempDir,
    data: TempDir,
}

impl Site {
    async fn new() -> Self {
        let taskcluster = Taskcluster::start().await.expect("a free port");
        taskcluster.add_static_worker("pool/linux", "group", "id", SECRET);
        Self {
            taskcluster,
            worker: None,
            scratch: folder(),
            data: folder(),
        }
    }

    fn start(&mut self, change: impl FnOnce(&mut Value)) {
        let mut settings = settings(&self.taskcluster, self.data.path());
        change(&mut settings);
        let path = file(&self.scratch, "worker.json", &settings.to_string());
        let worker = worker(self.scratch.path())
            .arg("--config")
            .arg(path)
            .stdout(Stdio::piped())
            .spawn();
        self.worker = Some(worker.expect("the example starts"));
    }

    /// Lets the worker go on until a line with this part, and gives the line.
    async fn line_with(&mut self, part: &'static str) -> String {
        let mut worker = self.worker.take().expect("it was started");
        let read = tokio::task::spawn_blocking(move || (read_until(&mut worker, part), worker));
        let (lines, worker) = read.await.expect("the worker says so");
        self.worker = Some(worker);
        lines.last().cloned().expect("it was waited for")
    }

    async fn resolved(&self, definition: Value) -> TaskStatus {
        let mut definition = definition;
        definition["taskQueueId"] = json!("pool/linux");
        let task_id = self
            .taskcluster
            .create_task(definition)
            .expect("it is valid");
        let resolved = self.taskcluster.wait_until_resolved(&task_id).await;
        resolved.expect("the task exists")
    }

    async fn log(&self, status: &TaskStatus) -> String {
        let log = "public/logs/live_backing.log";
        let stored = self.taskcluster.read_artifact(&status.task_id, log).await;
        let log = stored
            .expect("there is a log")
            .decoded()
            .expect("valid gzip");
        String::from_utf8(log).expect("it is text")
    }

    /// Stops the worker, which must end well.
    async fn stop(mut self) {
        let mut worker = self.worker.take().expect("it was started");
        let ended = tokio::task::spawn_blocking(move || {
            signal(&worker, "-TERM");
            signal_until_ended(&mut worker)
        });
        assert!(ended.await.expect("no panic").success());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_worker_registers_and_works_as_its_file_says() {
    let mut site = Site::new().await;
    site.start(|_| ());
    let status = site
        .resolved(json!({ "payload": { "command": ["true"] } }))
        .await;
    assert_eq!(status.reason_resolved(), Some("completed"));
    let log = site.log(&status).await;
    assert!(log.contains("] image: debian-13\n"), "{log}");
    assert!(
        site.data.path().join("mounts").is_dir(),
        "it keeps its files there"
    );
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn caches_take_a_scope_and_are_purged_on_request() {
    let mut site = Site::new().await;
    site.start(|_| ());
    let task = |scopes: Value| {
        json!({
            "payload": {
                "command": ["true"],
                "mounts": [{ "cacheName": "visits", "directory": "cache" }],
            },
            "scopes": scopes,
        })
    };
    let refused = site.resolved(task(json!([]))).await;
    assert_eq!(refused.reason_resolved(), Some("malformed-payload"));
    let log = site.log(&refused).await;
    assert!(
        log.contains("`task.scopes` lacks `demo:cache:visits`"),
        "{log}"
    );
    for expected in [
        "was not in the cache",
        "is in the cache",
        "was not in the cache",
    ] {
        let status = site.resolved(task(json!(["demo:cache:*"]))).await;
        let log = site.log(&status).await;
        assert!(log.contains(&format!("visits {expected}")), "{log}");
        if expected == "is in the cache" {
            site.taskcluster.purge_cache("pool/linux", "visits");
        }
    }
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_status_page_tells_that_the_worker_takes_tasks() {
    let mut site = Site::new().await;
    site.start(|settings| settings["statusPort"] = json!(0));
    let line = site.line_with("status: ").await;
    site.line_with("claiming from").await;
    let url = line.trim_start_matches("status: ").to_owned();
    let asked = tokio::task::spawn_blocking(move || {
        follow(&format!("{url}readyz"), "200 OK");
        follow(&url, "pool/linux");
        follow(&format!("{url}metrics"), "worker_");
    });
    asked.await.expect("the page is served");
    site.stop().await;
}

#[test]
fn what_is_printed_has_defaults_and_no_secrets() {
    let scratch = folder();
    let settings = "
        worker:
          rootUrl: https://tc.example.com
          taskQueueId: pool/linux
          workerGroup: group
          workerId: id
          credentials: { clientId: me, accessToken: hunter2 }
          dataFolder: /var/lib/worker
        webHooks:
          provider: public
          host: example.com
          port: 443
          statelessDNS: { serverIp: 127.0.0.1, secret: hunter2 }
    ";
    let path = file(&scratch, "worker.yml", settings);
    let (output, text) = run(worker(scratch.path())
        .arg("--config")
        .arg(path)
        .arg("--print-config"));
    assert!(output.status.success(), "{text}");
    for part in [
        "capacity: 1\n",
        "minFreeDisk: 1073741824\n",
        "provider: public\n",
        "level: info\n",
    ] {
        assert!(text.contains(part), "`{part}` is not in {text}");
    }
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn everything_that_is_wrong_in_a_file_is_named_with_its_path() {
    let scratch = folder();
    let settings = "
        [worker]
        rootUrl = 'https://tc.example.com'
        taskQueueId = 'pool/linux'
        workerGroup = 'group'
        dataFolder = '/var/lib/worker'
        [worker.collector.limits]
        minFreeDsk = '1 GiB'
        [monitoring.log]
        level = 'loud'
    ";
    let path = file(&scratch, "worker.toml", settings);
    let (output, text) = run(worker(scratch.path()).arg("--config").arg(path));
    assert_eq!(output.status.code(), Some(1), "{text}");
    for part in [
        "worker.toml`",
        "`worker.workerId` is missing",
        "`worker.collector.limits.minFreeDsk` is no key; did you mean `minFreeDisk`?",
        "`monitoring.log.level` must be one of off, error, warn",
    ] {
        assert!(text.contains(part), "`{part}` is not in {text}");
    }
}

#[test]
fn a_file_is_not_mixed_with_other_settings() {
    let scratch = folder();
    let path = file(&scratch, "worker.json", "{}");
    let mut command = worker(scratch.path());
    let (output, text) = run(command.arg("--config").arg(path).args(["--capacity", "2"]));
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(
        text.contains("'--config <FILE>' cannot be used with"),
        "{text}"
    );
}

#[test]
fn the_documentation_for_authors_of_tasks_is_printed() {
    let scratch = folder();
    let (output, text) = run(worker(scratch.path()).arg("--print-docs"));
    assert!(output.status.success(), "{text}");
    for part in [
        "# Tasks for demo/local\n",
        "## Commands\n",
        "## Caches and inputs\n",
        "\"maxRunTime\"",
    ] {
        assert!(text.contains(part), "`{part}` is not in {text}");
    }
}

#[test]
fn the_schema_of_the_file_is_printed() {
    let scratch = folder();
    let (output, text) = run(worker(scratch.path()).arg("--config-schema"));
    assert!(output.status.success(), "{text}");
    let schema: Value = serde_json::from_str(&text).expect("it is JSON");
    for key in ["worker", "webHooks", "monitoring", "statusPort"] {
        assert!(
            schema["properties"][key]["description"].is_string(),
            "{key}"
        );
    }
}
