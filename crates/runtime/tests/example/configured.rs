//! The example worker with a configuration file.

use serde_json::{Value, json};

use crate::site::Site;
use crate::support::{file, folder, follow, run, wait_for_text, worker};

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn configured_worker_registers_and_runs_tasks() {
    let mut site = Site::new().await;
    site.start(|_| ());
    let status = site
        .resolved(json!({ "payload": { "command": ["true"] } }))
        .await;
    assert_eq!(status.reason_resolved(), Some("completed"));
    let log = site.log(&status).await;
    assert!(log.contains("] image: debian-13\n"), "{log}");
    assert!(
        site.data().join("mounts").is_dir(),
        "caches are in the data folder"
    );
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn caches_need_a_scope_and_are_purged_on_request() {
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
    let rejected = site.resolved(task(json!([]))).await;
    assert_eq!(rejected.reason_resolved(), Some("malformed-payload"));
    let log = site.log(&rejected).await;
    assert!(
        log.contains("requires the scope `demo:cache:visits`"),
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

#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn configured_features_are_served() {
    let mut site = Site::new().await;
    site.start(|settings| {
        settings["worker"]["plugins"]["taskclusterProxy"] = json!(true);
        settings["worker"]["plugins"]["interactive"] = json!(true);
        settings["webHooks"] = json!({ "provider": "localhost" });
    });
    let with_proxy = json!({
        "command": ["sh", "-c", "test -n \"$TASKCLUSTER_PROXY_URL\""],
        "features": { "taskclusterProxy": true },
    });
    let status = site.resolved(json!({ "payload": with_proxy })).await;
    assert_eq!(status.reason_resolved(), Some("completed"));
    let task_id = site.taskcluster.create_task(json!({
        "taskQueueId": "pool/linux",
        "payload": {
            "command": ["sleep", "600"],
            "features": { "taskclusterProxy": false, "interactive": true },
        },
    }));
    let task_id = task_id.expect("a valid definition");
    let has_shell = async {
        loop {
            let artifacts = site.taskcluster.artifacts(&task_id, 0);
            let artifacts = artifacts.expect("the task exists");
            let is_shell = |name: &str| name == "private/generic-worker/shell.html";
            if artifacts.iter().any(|it| is_shell(&it.name)) {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let waited = tokio::time::timeout(std::time::Duration::from_secs(60), has_shell).await;
    waited.expect("the shell is announced");
    let cancelled = site.taskcluster.cancel_task(&task_id);
    cancelled.expect("the task runs");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn status_page_shows_readiness() {
    let mut site = Site::new().await;
    site.start(|settings| settings["statusPort"] = json!(0));
    let line = site.line_with("status: ").await;
    // The worker prints the URL before it claims; after a task it is ready.
    let first = site.resolved(json!({ "payload": { "command": ["true"] } }));
    assert_eq!(first.await.reason_resolved(), Some("completed"));
    let url = line.trim_start_matches("status: ").to_owned();
    let requests = tokio::task::spawn_blocking(move || {
        follow(&format!("{url}readyz"), "200 OK");
        follow(&url, "pool/linux");
        follow(&format!("{url}metrics"), "worker_");
        let (root, _) = url
            .rsplit_once("/")
            .and_then(|(url, _)| url.rsplit_once("/"))
            .expect("a hook");
        follow(&format!("{root}/readyz"), "200 OK");
        let resolved = "worker_tasks_resolved_total{resolution=\"completed\"} 1";
        wait_for_text(&format!("{root}/metrics"), resolved);
        follow(&format!("{root}/tasks"), "404 Not Found");
    });
    requests.await.expect("no panic");
    site.stop().await;
}

#[test]
fn printed_config_has_defaults_and_no_secrets() {
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
        .args(["print-config", "--local", "--config"])
        .arg(path));
    assert!(output.status.success(), "{text}");
    for part in [
        "capacity: 1\n",
        "minFreeDisk: 1 GiB\n",
        "provider: public\n",
        "level: info\n",
    ] {
        assert!(text.contains(part), "`{part}` is not in {text}");
    }
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn printed_config_shows_reachable_hosts() {
    let scratch = folder();
    let printed = |root_url: &str| {
        let settings = format!(
            "worker: {{ rootUrl: '{root_url}', taskQueueId: pool/linux, workerGroup: group, workerId: id,\n\
             \x20 dataFolder: /var/lib/worker, fetch: {{ allowedHosts: [10.0.0.0/8] }} }}\n"
        );
        let path = file(&scratch, "worker.yml", &settings);
        let (output, text) = run(worker(scratch.path())
            .args(["print-config", "--local", "--config"])
            .arg(path));
        assert!(output.status.success(), "{text}");
        text
    };
    let text = printed("https://tc.example.com");
    assert!(text.contains("allowedHosts:\n    - 10.0.0.0/8\n"), "{text}");
    assert!(!text.contains("127.0.0.1"), "{text}");
    let text = printed("http://127.0.0.1:8080");
    assert!(text.contains("    - 127.0.0.1\n"), "{text}");
    assert!(text.contains("addresses: guarded\n"), "{text}");
}

#[test]
fn all_config_errors_are_reported_with_paths() {
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
    let (output, text) = run(worker(scratch.path()).args(["run", "--config"]).arg(path));
    assert_eq!(output.status.code(), Some(1), "{text}");
    for part in [
        "worker.toml`",
        "missing key `worker.workerId`",
        "unknown key `worker.collector.limits.minFreeDsk`, did you mean `minFreeDisk`?",
        "`monitoring.log.level`: expected one of off, error, warn",
    ] {
        assert!(text.contains(part), "`{part}` is not in {text}");
    }
}

#[test]
fn config_file_conflicts_with_options() {
    let scratch = folder();
    let path = file(&scratch, "worker.json", "{}");
    let mut command = worker(scratch.path());
    let (output, text) = run(command
        .args(["run", "--config"])
        .arg(path)
        .args(["--capacity", "2"]));
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(
        text.contains("'--config <FILE>' cannot be used with"),
        "{text}"
    );
}

#[test]
fn documentation_is_printed() {
    let scratch = folder();
    let (output, text) = run(worker(scratch.path()).arg("docs"));
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
fn config_schema_is_printed() {
    let scratch = folder();
    let (output, text) = run(worker(scratch.path()).arg("schema"));
    assert!(output.status.success(), "{text}");
    let schema: Value = serde_json::from_str(&text).expect("JSON");
    for key in ["worker", "engine", "webHooks", "monitoring", "statusPort"] {
        assert!(
            schema["properties"][key]["description"].is_string(),
            "{key}"
        );
    }
}
