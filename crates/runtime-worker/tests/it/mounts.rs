//! Mounted caches and inputs.

use runtime_mocks::MockMonitor;
use serde_json::{Value, json};

use crate::support::{RunningWorker, TestBed};

fn with_cache(script: &str, more: Value) -> Value {
    let mut payload = json!({
        "command": ["sh", "-c", script],
        "mounts": [{ "cacheName": "visits", "directory": "cache" }],
    });
    if let (Value::Object(payload), Value::Object(more)) = (&mut payload, more) {
        payload.extend(more);
    }
    payload
}

fn visit() -> Value {
    with_cache("cat cache/visits; echo visit >> cache/visits", json!({}))
}

/// Runs tasks in sequence on one worker and returns their logs.
async fn run_in_turn(bed: &TestBed, payloads: &[Value]) -> Vec<String> {
    let running: RunningWorker = bed.start(bed.worker_with_mounts().await);
    let mut logs = Vec::new();
    for payload in payloads {
        let task_id = bed.create(payload.clone());
        bed.resolved(&task_id).await;
        logs.push(bed.log(&task_id).await);
    }
    running.stop().await;
    logs
}

/// Runs a task that creates the artifact `public/<file>`, and returns its id.
async fn create_artifact(bed: &TestBed, file: &str, script: &str) -> String {
    let task_id = bed.create(json!({
        "command": ["sh", "-c", script],
        "artifacts": [{ "name": format!("public/{file}"), "type": "file", "path": file }],
    }));
    assert_eq!(bed.resolved(&task_id).await.state_and_reason(), "completed");
    task_id
}

/// Runs twice a task that prints an artifact of `maker`. Only the first run fetches it.
async fn assert_fetched_once(bed: &TestBed, maker: &str, user: &Value) {
    for expected in ["was not in the cache", "is in the cache"] {
        let task_id = bed.create_with(json!({ "payload": user, "dependencies": [maker] }));
        assert_eq!(bed.resolved(&task_id).await.state_and_reason(), "completed");
        let log = bed.log(&task_id).await;
        assert!(
            log.contains(expected) && log.contains("\nprecious\n"),
            "{log}"
        );
    }
}

#[tokio::test]
async fn named_cache_is_reused() {
    let bed = TestBed::new().await;
    let logs = run_in_turn(&bed, &[visit(), visit()]).await;
    assert!(
        logs[0].contains("visits was not in the cache"),
        "{}",
        logs[0]
    );
    assert!(
        logs[1].contains("visits is in the cache") && logs[1].contains("\nvisit\n"),
        "{}",
        logs[1]
    );
}

#[tokio::test]
async fn mounts_count_hits_and_misses() {
    let bed = TestBed::new().await;
    let (monitor, recorded) = MockMonitor::new();
    let mounts = bed.settings().mounts().open(bed.collector.tracker()).await;
    let mounts = mounts.expect("open the caches");
    let running = bed.start(bed.worker_with_monitor(monitor).plugin(mounts));
    for (hits, misses) in [(0, 1), (1, 1)] {
        let task_id = bed.create(visit());
        bed.resolved(&task_id).await;
        assert_eq!(recorded.counter("mounts.cache-hits"), hits);
        assert_eq!(recorded.counter("mounts.cache-misses"), misses);
    }
    running.stop().await;
}

#[tokio::test]
async fn purged_cache_is_not_reused() {
    let bed = TestBed::new().await;
    let running: RunningWorker = bed.start(bed.worker_with_mounts().await);
    for expected in [
        "was not in the cache",
        "is in the cache",
        "was not in the cache",
    ] {
        let task_id = bed.create(visit());
        bed.resolved(&task_id).await;
        let log = bed.log(&task_id).await;
        assert!(log.contains(&format!("visits {expected}")), "{log}");
        if expected == "is in the cache" {
            bed.taskcluster.purge_cache("test/linux", "visits");
        }
    }
    running.stop().await;
}

#[tokio::test]
async fn purge_exit_code_removes_the_cache() {
    let bed = TestBed::new().await;
    let purging = with_cache("exit 7", json!({ "onExitStatus": { "purgeCaches": [7] } }));
    let logs = run_in_turn(&bed, &[purging, with_cache("ls cache", json!({}))]).await;
    assert!(
        logs[1].contains("visits was not in the cache"),
        "{}",
        logs[1]
    );
}

#[tokio::test]
async fn killed_task_leaves_no_cache() {
    let bed = TestBed::new().await;
    let long = with_cache(
        "echo half > cache/half; sleep 600",
        json!({ "maxRunTime": 1 }),
    );
    let logs = run_in_turn(&bed, &[long, with_cache("ls cache", json!({}))]).await;
    assert!(!logs[1].contains("half"), "{}", logs[1]);
}

#[tokio::test]
async fn cache_survives_the_worker() {
    let bed = TestBed::new().await;
    run_in_turn(&bed, &[visit()]).await;
    let logs = run_in_turn(&bed, &[visit()]).await;
    assert!(
        logs[0].contains("visits is in the cache") && logs[0].contains("\nvisit\n"),
        "{}",
        logs[0]
    );
}

#[tokio::test]
async fn purge_between_workers_applies() {
    let bed = TestBed::new().await;
    run_in_turn(&bed, &[visit()]).await;
    bed.taskcluster.purge_cache("test/linux", "visits");
    let logs = run_in_turn(&bed, &[visit()]).await;
    assert!(
        logs[0].contains("visits was not in the cache") && !logs[0].contains("\nvisit\n"),
        "{}",
        logs[0]
    );
}

#[tokio::test]
async fn cancelled_task_leaves_no_cache() {
    let bed = TestBed::new().await;
    let running = bed.start(bed.worker_with_mounts().await);
    let fill = bed.create(visit());
    bed.resolved(&fill).await;
    let mark = bed.marker("half");
    let script = format!(
        "echo half > cache/half; echo half > {}; sleep 600",
        mark.display()
    );
    let long = bed.create(with_cache(&script, json!({ "maxRunTime": 900 })));
    bed.wait_for_file(&mark).await;
    bed.cancel(&long);
    bed.wait_for_reports(2).await;

    let after = bed.create(with_cache("ls cache", json!({})));
    assert_eq!(bed.resolved(&after).await.state_and_reason(), "completed");
    let log = bed.log(&after).await;
    assert!(log.contains("visits was not in the cache"), "{log}");
    assert!(!log.contains("\nhalf\n"), "{log}");
    running.stop().await;
}

#[tokio::test]
async fn artifact_requires_a_dependency() {
    let bed = TestBed::new().await;
    let running = bed.start(bed.worker_with_mounts().await);
    let maker = create_artifact(&bed, "a.txt", "echo precious > a.txt").await;
    let task_id = bed.create(json!({
        "command": ["true"],
        "mounts": [{ "content": { "taskId": maker, "artifact": "public/a.txt" }, "file": "a.txt" }],
    }));
    assert_eq!(
        bed.resolved(&task_id).await.state_and_reason(),
        "exception/malformed-payload"
    );
    let log = bed.log(&task_id).await;
    assert!(
        log.contains("`payload.mounts.0`: `content` is an artifact of"),
        "{log}"
    );
    running.stop().await;
}

#[cfg(feature = "unpack")]
#[tokio::test]
async fn unpacked_archive_is_a_private_copy() {
    let bed = TestBed::new().await;
    let running = bed.start(bed.worker_with_mounts().await);
    let script = "mkdir -p in/deep; echo precious > in/deep/a.txt; tar -C in -czf a.tgz deep";
    let maker = create_artifact(&bed, "a.tgz", script).await;
    let user = json!({
        "command": ["sh", "-c", "cat out/deep/a.txt; echo changed > out/deep/a.txt"],
        "mounts": [{
            "content": { "taskId": maker, "artifact": "public/a.tgz" },
            "directory": "out",
            "format": "tar.gz",
        }],
    });
    assert_fetched_once(&bed, &maker, &user).await;
    running.stop().await;
}

#[cfg(all(feature = "config", feature = "unpack"))]
#[tokio::test]
async fn unpack_limits_are_enforced() {
    let bed = TestBed::new().await;
    let settings = json!({ "unpackLimits": { "maxEntries": 1 } });
    let settings: runtime_worker::config::PluginsConfig =
        serde_json::from_value(settings).expect("valid settings");
    let mounts = settings.apply_to(bed.mounts());
    let running = bed.start(bed.worker_with_mounts_from(mounts).await);
    let maker = create_artifact(&bed, "a.tgz", "echo > a; echo > b; tar -czf a.tgz a b").await;
    let mount = json!({
        "content": { "taskId": maker, "artifact": "public/a.tgz" },
        "directory": "out",
        "format": "tar.gz",
    });
    let payload = json!({ "command": ["true"], "mounts": [mount] });
    let user = bed.create_with(json!({ "payload": payload, "dependencies": [maker] }));
    let status = bed.resolved(&user).await;
    assert_eq!(status.state_and_reason(), "exception/malformed-payload");
    let log = bed.log(&user).await;
    assert!(log.contains("more than the limit of 1 entries"), "{log}");
    running.stop().await;
}

#[tokio::test]
async fn input_is_fetched_once() {
    let bed = TestBed::new().await;
    let running = bed.start(bed.worker_with_mounts().await);
    let maker = create_artifact(&bed, "a.txt", "echo precious > a.txt").await;
    let user = json!({
        "command": ["cat", "deep/b.txt"],
        "mounts": [{ "content": { "taskId": maker, "artifact": "public/a.txt" }, "file": "deep/b.txt" }],
    });
    assert_fetched_once(&bed, &maker, &user).await;
    running.stop().await;
}

#[tokio::test]
async fn input_copies_count_towards_the_quota() {
    let bed = TestBed::new().await;
    let length = "precious\n".len() as u64;
    let running = bed.start(bed.worker_with_quota(length).await);
    let maker = create_artifact(&bed, "a.txt", "echo precious > a.txt").await;
    let user = |script: &str| {
        let payload = json!({
            "command": ["sh", "-c", script],
            "mounts": [{ "content": { "taskId": maker, "artifact": "public/a.txt" }, "file": "deep/b.txt" }],
        });
        bed.create_with(json!({ "payload": payload, "dependencies": [maker] }))
    };
    let (started, go) = (bed.marker("started"), bed.marker("go"));
    let (started_at, go_at) = (started.display(), go.display());
    let first = user(&format!(
        "echo > {started_at}; until test -e {go_at}; do sleep 0.05; done"
    ));
    bed.wait_for_file(&started).await;

    let second = user("true");
    let status = bed.resolved(&second).await;
    assert_eq!(status.state_and_reason(), "exception/resource-unavailable");
    let log = bed.log(&second).await;
    assert!(log.contains("9 of 9 bytes are reserved"), "{log}");

    std::fs::write(&go, "").expect("access the folder");
    bed.resolved(&first).await;
    bed.wait_for_reports(3).await;
    assert_eq!(
        bed.resolved(&user("true")).await.state_and_reason(),
        "completed"
    );
    running.stop().await;
}

#[tokio::test]
async fn hash_mismatch_is_a_malformed_payload() {
    let bed = TestBed::new().await;
    let running = bed.start(bed.worker_with_mounts().await);
    let maker = create_artifact(&bed, "a.txt", "echo other > a.txt").await;
    let url = format!(
        "{}/api/queue/v1/task/{maker}/artifacts/public/a.txt",
        bed.taskcluster.root_url()
    );
    let task_id = bed.create(json!({
        "command": ["true"],
        "mounts": [{ "content": { "url": url, "sha256": "0".repeat(64) }, "file": "a.txt" }],
    }));
    assert_eq!(
        bed.resolved(&task_id).await.state_and_reason(),
        "exception/malformed-payload"
    );
    running.stop().await;
}

#[tokio::test]
async fn all_invalid_mounts_are_reported() {
    let bed = TestBed::new().await;
    let payload = json!({
        "command": "not an array",
        "mounts": [
            { "cacheName": "a" },
            { "content": { "raw": "x" }, "file": "x" },
            { "content": { "colour": "blue" }, "file": "y" },
        ],
    });
    let logs = run_in_turn(&bed, &[payload]).await;
    assert!(
        logs[0].contains("`payload.mounts.0`: expected `cacheName` and `directory`"),
        "{}",
        logs[0]
    );
    assert!(
        logs[0].contains("`payload.mounts.2`: `content`:"),
        "{}",
        logs[0]
    );
    assert!(!logs[0].contains("mounts.1"), "{}", logs[0]);
    assert!(
        logs[0].contains("`payload.command`: does not match its description: A program"),
        "{}",
        logs[0]
    );
}

#[tokio::test]
async fn mount_outside_of_the_folder_is_rejected() {
    for file in ["../x", "/tmp/x", ""] {
        let payload = json!({
            "command": ["true"], "mounts": [{ "content": { "raw": "x" }, "file": file }],
        });
        let bed = TestBed::new().await;
        let logs = run_in_turn(&bed, &[payload]).await;
        assert!(
            logs[0].contains("is outside of the task's folder"),
            "{file}: {}",
            logs[0]
        );
    }
}
