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

fn visit() -> Value {
    with_cache("cat cache/visits; echo visit >> cache/visits", json!({}))
}

/// Runs one task after another on one worker, and gives the log of each.
async fn run_in_turn(bench: &Bench, payloads: &[Value]) -> Vec<String> {
    let running: Running = bench.start(bench.worker_with_mounts().await);
    let mut logs = Vec::new();
    for payload in payloads {
        let task_id = bench.create(payload.clone());
        bench.resolved(&task_id).await;
        logs.push(bench.log(&task_id).await);
    }
    running.stop().await;
    logs
}

/// Runs a task that makes an artifact, `public/<file>`, and returns its id.
async fn make(bench: &Bench, file: &str, script: &str) -> String {
    let task_id = bench.create(json!({
        "command": ["sh", "-c", script],
        "artifacts": [{ "name": format!("public/{file}"), "type": "file", "path": file }],
    }));
    assert_eq!(state(&bench.resolved(&task_id).await), "completed");
    task_id
}

/// Runs a task twice that prints what `maker` made. Only the first has to fetch it.
async fn check_two_users(bench: &Bench, maker: &str, user: &Value) {
    for expected in ["was not in the cache", "is in the cache"] {
        let task_id = bench.create_with(json!({ "payload": user, "dependencies": [maker] }));
        assert_eq!(state(&bench.resolved(&task_id).await), "completed");
        let log = bench.log(&task_id).await;
        assert!(
            log.contains(expected) && log.contains("\nprecious\n"),
            "{log}"
        );
    }
}

#[tokio::test]
async fn what_a_task_leaves_in_a_named_cache_the_next_one_finds() {
    let bench = Bench::new().await;
    let logs = run_in_turn(&bench, &[visit(), visit()]).await;
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
    let running: Running = bench.start(bench.worker_with_mounts().await);
    for expected in [
        "was not in the cache",
        "is in the cache",
        "was not in the cache",
    ] {
        let task_id = bench.create(visit());
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
async fn the_next_worker_on_the_same_folder_finds_the_cache() {
    let bench = Bench::new().await;
    run_in_turn(&bench, &[visit()]).await;
    let logs = run_in_turn(&bench, &[visit()]).await;
    assert!(
        logs[0].contains("visits is in the cache") && logs[0].contains("\nvisit\n"),
        "{}",
        logs[0]
    );
}

#[tokio::test]
async fn a_request_while_no_worker_runs_reaches_what_the_last_one_left() {
    let bench = Bench::new().await;
    run_in_turn(&bench, &[visit()]).await;
    bench.taskcluster.purge_cache("test/linux", "visits");
    let logs = run_in_turn(&bench, &[visit()]).await;
    assert!(
        logs[0].contains("visits was not in the cache") && !logs[0].contains("\nvisit\n"),
        "{}",
        logs[0]
    );
}

#[tokio::test]
async fn a_task_that_was_cancelled_leaves_no_cache() {
    let bench = Bench::new().await;
    let running = bench.start(bench.worker_with_mounts().await);
    let fill = bench.create(visit());
    bench.resolved(&fill).await;
    let mark = bench.mark("half");
    let script = format!(
        "echo half > cache/half; echo half > {}; sleep 600",
        mark.display()
    );
    let long = bench.create(with_cache(&script, json!({ "maxRunTime": 900 })));
    bench.file_appears(&mark).await;
    bench.cancel(&long);
    bench.reported(2).await;

    let after = bench.create(with_cache("ls cache", json!({})));
    assert_eq!(state(&bench.resolved(&after).await), "completed");
    let log = bench.log(&after).await;
    assert!(log.contains("visits was not in the cache"), "{log}");
    assert!(!log.contains("\nhalf\n"), "{log}");
    running.stop().await;
}

#[tokio::test]
async fn an_artifact_of_a_task_that_is_no_dependency_is_refused() {
    let bench = Bench::new().await;
    let running = bench.start(bench.worker_with_mounts().await);
    let maker = make(&bench, "a.txt", "echo precious > a.txt").await;
    let task_id = bench.create(json!({
        "command": ["true"],
        "mounts": [{ "content": { "taskId": maker, "artifact": "public/a.txt" }, "file": "a.txt" }],
    }));
    assert_eq!(
        state(&bench.resolved(&task_id).await),
        "exception/malformed-payload"
    );
    let log = bench.log(&task_id).await;
    assert!(
        log.contains("`payload.mounts.0`: `content` is an artifact of"),
        "{log}"
    );
    running.stop().await;
}

#[cfg(feature = "unpack")]
#[tokio::test]
async fn what_is_in_an_archive_is_the_tasks_own() {
    let bench = Bench::new().await;
    let running = bench.start(bench.worker_with_mounts().await);
    let script = "mkdir -p in/deep; echo precious > in/deep/a.txt; tar -C in -czf a.tgz deep";
    let maker = make(&bench, "a.tgz", script).await;
    let user = json!({
        "command": ["sh", "-c", "cat out/deep/a.txt; echo changed > out/deep/a.txt"],
        "mounts": [{
            "content": { "taskId": maker, "artifact": "public/a.tgz" },
            "directory": "out",
            "format": "tar.gz",
        }],
    });
    check_two_users(&bench, &maker, &user).await;
    running.stop().await;
}

#[cfg(all(feature = "config", feature = "unpack"))]
#[tokio::test]
async fn an_archive_keeps_to_the_limits_of_the_configuration() {
    let bench = Bench::new().await;
    let settings = json!({ "unpackLimits": { "maxEntries": 1 } });
    let settings: runtime_worker::config::PluginsConfig =
        serde_json::from_value(settings).expect("the settings are right");
    let mounts = settings.apply_to(bench.mounts());
    let running = bench.start(bench.worker_mounting(mounts).await);
    let maker = make(&bench, "a.tgz", "echo > a; echo > b; tar -czf a.tgz a b").await;
    let mount = json!({
        "content": { "taskId": maker, "artifact": "public/a.tgz" },
        "directory": "out",
        "format": "tar.gz",
    });
    let payload = json!({ "command": ["true"], "mounts": [mount] });
    let user = bench.create_with(json!({ "payload": payload, "dependencies": [maker] }));
    let status = bench.resolved(&user).await;
    assert_eq!(state(&status), "exception/malformed-payload");
    let log = bench.log(&user).await;
    assert!(log.contains("more than the 1 files"), "{log}");
    running.stop().await;
}

#[tokio::test]
async fn an_input_is_fetched_once_for_many_tasks() {
    let bench = Bench::new().await;
    let running = bench.start(bench.worker_with_mounts().await);
    let maker = make(&bench, "a.txt", "echo precious > a.txt").await;
    let user = json!({
        "command": ["cat", "deep/b.txt"],
        "mounts": [{ "content": { "taskId": maker, "artifact": "public/a.txt" }, "file": "deep/b.txt" }],
    });
    check_two_users(&bench, &maker, &user).await;
    running.stop().await;
}

#[tokio::test]
async fn copies_of_inputs_keep_to_the_quota_of_temporary_files() {
    let bench = Bench::new().await;
    let length = "precious\n".len() as u64;
    let running = bench.start(bench.worker_with_quota(length).await);
    let maker = make(&bench, "a.txt", "echo precious > a.txt").await;
    let user = |script: &str| {
        let payload = json!({
            "command": ["sh", "-c", script],
            "mounts": [{ "content": { "taskId": maker, "artifact": "public/a.txt" }, "file": "deep/b.txt" }],
        });
        bench.create_with(json!({ "payload": payload, "dependencies": [maker] }))
    };
    let (started, go) = (bench.mark("started"), bench.mark("go"));
    let (started_at, go_at) = (started.display(), go.display());
    let first = user(&format!(
        "echo > {started_at}; until test -e {go_at}; do sleep 0.05; done"
    ));
    bench.file_appears(&started).await;

    let second = user("true");
    let status = bench.resolved(&second).await;
    assert_eq!(state(&status), "exception/resource-unavailable");
    let log = bench.log(&second).await;
    assert!(log.contains("9 of 9 bytes are reserved"), "{log}");

    std::fs::write(&go, "").expect("the folder is ours");
    bench.resolved(&first).await;
    bench.reported(3).await;
    assert_eq!(state(&bench.resolved(&user("true")).await), "completed");
    running.stop().await;
}

#[tokio::test]
async fn bytes_that_do_not_match_their_hash_never_reach_the_task() {
    let bench = Bench::new().await;
    let running = bench.start(bench.worker_with_mounts().await);
    let maker = make(&bench, "a.txt", "echo other > a.txt").await;
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
            logs[0].contains("is outside of the task's folder"),
            "{file}: {}",
            logs[0]
        );
    }
}
