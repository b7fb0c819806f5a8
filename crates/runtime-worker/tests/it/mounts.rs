//! Caches are used again when they may be, and inputs are fetched once.

use serde_json::{Value, json};

use crate::support::{Bench, Running, state};

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

/// Runs one task after another on one worker, and gives the log of each.
async fn run_in_turn(bench: &Bench, payloads: &[Value]) -> Vec<String> {
    let running: Running = bench.start(bench.worker_with_mounts());
    let mut logs = Vec::new();
    for payload in payloads {
        let task_id = bench.create(payload.clone());
        bench.resolved(&task_id).await;
        logs.push(bench.log(&task_id).await);
    }
    running.stop().await;
    logs
}

#[tokio::test]
async fn what_a_task_leaves_in_a_named_cache_the_next_one_finds() {
    let bench = Bench::new().await;
    let visit = with_cache("cat cache/visits; echo visit >> cache/visits", json!({}));
    let logs = run_in_turn(&bench, &[visit.clone(), visit]).await;
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
async fn a_cache_that_somebody_wants_gone_is_not_used_again() {
    let bench = Bench::new().await;
    let running: Running = bench.start(bench.worker_with_mounts());
    let visit = with_cache("cat cache/visits; echo visit >> cache/visits", json!({}));
    for expected in [
        "was not in the cache",
        "is in the cache",
        "was not in the cache",
    ] {
        let task_id = bench.create(visit.clone());
        bench.resolved(&task_id).await;
        let log = bench.log(&task_id).await;
        assert!(log.contains(&format!("visits {expected}")), "{log}");
        if expected == "is in the cache" {
            bench.taskcluster.purge_cache("test/linux", "visits");
        }
    }
    running.stop().await;
}

#[tokio::test]
async fn an_exit_code_to_purge_on_drops_the_cache() {
    let bench = Bench::new().await;
    let spoil = with_cache("exit 7", json!({ "onExitStatus": { "purgeCaches": [7] } }));
    let logs = run_in_turn(&bench, &[spoil, with_cache("ls cache", json!({}))]).await;
    assert!(
        logs[1].contains("visits was not in the cache"),
        "{}",
        logs[1]
    );
}

#[tokio::test]
async fn a_task_that_was_ended_leaves_no_cache() {
    let bench = Bench::new().await;
    let long = with_cache(
        "echo half > cache/half; sleep 600",
        json!({ "maxRunTime": 1 }),
    );
    let logs = run_in_turn(&bench, &[long, with_cache("ls cache", json!({}))]).await;
    assert!(!logs[1].contains("half"), "{}", logs[1]);
}

#[tokio::test]
async fn an_input_is_fetched_once_for_many_tasks() {
    let bench = Bench::new().await;
    let running = bench.start(bench.worker_with_mounts());
    let maker = bench.create(json!({
        "command": ["sh", "-c", "echo precious > a.txt"],
        "artifacts": [{ "name": "public/a.txt", "type": "file", "path": "a.txt" }],
    }));
    bench.resolved(&maker).await;
    let user = json!({
        "command": ["cat", "deep/b.txt"],
        "mounts": [{ "content": { "taskId": maker, "artifact": "public/a.txt" }, "file": "deep/b.txt" }],
    });
    for expected in ["was not in the cache", "is in the cache"] {
        let task_id = bench.create(user.clone());
        assert_eq!(state(&bench.resolved(&task_id).await), "completed");
        let log = bench.log(&task_id).await;
        assert!(
            log.contains(expected) && log.contains("\nprecious\n"),
            "{log}"
        );
    }
    running.stop().await;
}

#[tokio::test]
async fn bytes_that_do_not_match_their_hash_never_reach_the_task() {
    let bench = Bench::new().await;
    let running = bench.start(bench.worker_with_mounts());
    let maker = bench.create(json!({
        "command": ["sh", "-c", "echo other > a.txt"],
        "artifacts": [{ "name": "public/a.txt", "type": "file", "path": "a.txt" }],
    }));
    bench.resolved(&maker).await;
    let url = format!(
        "{}/api/queue/v1/task/{maker}/artifacts/public/a.txt",
        bench.taskcluster.root_url()
    );
    let task_id = bench.create(json!({
        "command": ["true"],
        "mounts": [{ "content": { "url": url, "sha256": "0".repeat(64) }, "file": "a.txt" }],
    }));
    assert_eq!(
        state(&bench.resolved(&task_id).await),
        "exception/malformed-payload"
    );
    running.stop().await;
}

#[tokio::test]
async fn every_wrong_mount_is_named_with_its_place() {
    let bench = Bench::new().await;
    let payload = json!({
        "command": "not an array",
        "mounts": [
            { "cacheName": "a" },
            { "content": { "raw": "x" }, "file": "x" },
            { "content": { "colour": "blue" }, "file": "y" },
        ],
    });
    let logs = run_in_turn(&bench, &[payload]).await;
    assert!(
        logs[0].contains("`payload.mounts.0`: give `cacheName` and `directory`"),
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
        logs[0].contains("`payload.command`") && logs[0].contains("expected: A program"),
        "{}",
        logs[0]
    );
}

#[tokio::test]
async fn a_mount_outside_of_the_folder_is_refused() {
    for file in ["../x", "/tmp/x", ""] {
        let payload = json!({
            "command": ["true"], "mounts": [{ "content": { "raw": "x" }, "file": file }],
        });
        let bench = Bench::new().await;
        let logs = run_in_turn(&bench, &[payload]).await;
        assert!(
            logs[0].contains("is no path below the folder of the task"),
            "{file}: {}",
            logs[0]
        );
    }
}
