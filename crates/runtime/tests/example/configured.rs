//! The example worker, told by a file what to do.

use serde_json::{Value, json};

use crate::site::Site;
use crate::support::{file, folder, follow, run, worker};

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
        site.data().join("mounts").is_dir(),
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

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_status_page_tells_that_the_worker_takes_tasks() {
    let mut site = Site::new().await;
    site.start(|settings| settings["statusPort"] = json!(0));
    let line = site.line_with("status: ").await;
    // It is ready once it takes tasks, not when it says that it will.
    let works = site.resolved(json!({ "payload": { "command": ["true"] } }));
    assert_eq!(works.await.reason_resolved(), Some("completed"));
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
        "missing key `worker.workerId`",
        "unknown key `worker.collector.limits.minFreeDsk`, did you mean `minFreeDisk`?",
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
fn a_file_for_another_deployment_than_the_one_to_connect_to_is_refused() {
    let scratch = folder();
    let settings = json!({ "worker": {
        "rootUrl": "https://tc.example.com",
        "taskQueueId": "pool/linux",
        "workerGroup": "group",
        "workerId": "id",
        "dataFolder": scratch.path(),
    }});
    let path = file(&scratch, "worker.json", &settings.to_string());
    let mut command = worker(scratch.path());
    let command = command.arg("--config").arg(path).arg("--print-config");
    let (output, text) = run(command.args(["--connect", "https://other.example.com"]));
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("is for https://tc.example.com"), "{text}");
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
