//! Artifacts: names, links, and mistakes of the task's author.

use serde_json::{Value, json};

use crate::support::TestBed;

/// Creates a task that uploads the folder `out` as `public/out`.
fn upload_folder(script: &str) -> Value {
    json!({
        "command": ["sh", "-c", format!("mkdir out; cd out; {script}")],
        "artifacts": [{ "name": "public/out", "type": "directory", "path": "out" }],
    })
}

/// Runs a task and returns its id, resolution and log.
async fn run(bed: &TestBed, payload: Value) -> (String, String, String) {
    let (task_id, state) = bed.run_task(payload).await;
    let log = bed.log(&task_id).await;
    (task_id, state, log)
}

/// Returns the names of the artifacts that the worker created, except for the log.
fn artifact_names(bed: &TestBed) -> Vec<String> {
    let reports = bed.reports();
    let names = reports.iter().flat_map(|report| &report.artifacts);
    let mut names: Vec<_> = names
        .filter(|name| !name.starts_with("public/logs/"))
        .cloned()
        .collect();
    names.sort_unstable();
    names
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn unusual_file_names_are_encoded() {
    let bed = TestBed::new().await;
    let script = "for name in \"$(printf '\\303\\244.txt')\" \"$(printf 'latin-\\344')\" \"$(printf 'a\\tb\\nc')\" plain; do echo content > \"$name\"; done";
    let (task_id, state, log) = run(&bed, upload_folder(script)).await;
    assert_eq!(state, "completed", "{log}");
    let expected = [
        "public/out/%C3%A4.txt",
        "public/out/a%09b%0Ac",
        "public/out/latin-%E4",
        "public/out/plain",
    ];
    assert_eq!(artifact_names(&bed), expected);
    for name in expected {
        assert_eq!(bed.text(&task_id, name).await, "content\n", "{name}");
    }
    let note = "Artifact `public/out/a%09b%0Ac` is the file \"a\\tb\\nc\": bytes that are not printable ASCII are percent-encoded\n";
    assert!(log.contains(note), "{log}");
}

#[cfg(unix)]
#[tokio::test]
async fn links_are_followed_inside_the_task_folder() {
    let bed = TestBed::new().await;
    let script = "mkdir real; echo one > real/file; ln -s real/file link; ln -s real folder; ln -s . circle; \
        ln -s ../other elsewhere; mkdir ../other; echo two > ../other/file; ln -s ../out ../other/back; \
        ln -s /etc/passwd outside; ln -s nowhere dangling";
    let (task_id, state, log) = run(&bed, upload_folder(script)).await;
    assert_eq!(state, "completed", "{log}");
    for (name, text) in [
        ("public/out/link", "one\n"),
        ("public/out/folder/file", "one\n"),
        ("public/out/elsewhere/file", "two\n"),
        ("public/out/real/file", "one\n"),
    ] {
        assert_eq!(bed.text(&task_id, name).await, text, "{name}");
    }
    for line in [
        "Not uploaded: the link \"out/circle\" leads to a folder that is uploaded already\n",
        "Not uploaded: the link \"out/outside\" leads out of the folder of the task\n",
        "Not uploaded: the link \"out/dangling\" leads nowhere\n",
    ] {
        assert!(log.contains(line), "{line}{log}");
    }
}

#[tokio::test]
async fn mistakes_in_names_are_malformed() {
    let bed = TestBed::new().await;
    let payload = json!({
        "command": ["true"],
        "artifacts": [
            { "name": "public/../a", "type": "file", "path": "x" },
            { "name": "public/a", "type": "file", "path": "x", "contentType": "text/plain\r\nx: y" },
            { "name": "public/a", "type": "file", "path": "x" },
            { "name": "public/logs/live_backing.log", "type": "file", "path": "x" },
            { "name": "public/b", "type": "file", "path": "x", "expires": "2020-01-01T00:00:00Z" },
        ],
    });
    let (_, state, log) = run(&bed, payload).await;
    assert_eq!(state, "exception/malformed-payload");
    for part in [
        "Malformed payload: `payload.artifacts.0.name`: names of artifacts must not contain",
        "Malformed payload: `payload.artifacts.1.contentType`: expected a MIME type",
        "Malformed payload: `payload.artifacts.2.name`: another entry has the same name",
        "Malformed payload: `payload.artifacts.3.name`: this name belongs to the log",
    ] {
        assert!(log.contains(part), "{part}: {log}");
    }
}

#[tokio::test]
async fn past_expiry_is_malformed() {
    let bed = TestBed::new().await;
    let payload = json!({
        "command": ["true"],
        "artifacts": [{ "name": "public/b", "type": "file", "path": "x", "expires": "2020-01-01T00:00:00Z" }],
    });
    let (_, state, log) = run(&bed, payload).await;
    assert_eq!(state, "exception/malformed-payload");
    let message = "Malformed payload: `payload.artifacts.0.expires`: 2020-01-01T00:00:00Z is before the creation of the task\n";
    assert!(log.contains(message), "{log}");
}

#[tokio::test]
async fn refused_artifact_fails_the_task() {
    let bed = TestBed::new().await;
    let refusal = super::faults::status("queue.createArtifact", 400);
    let refusal = bed
        .taskcluster
        .inject(refusal.on_path("refused.bin").times(1));
    let payload = json!({
        "command": ["sh", "-c", "echo x > x"],
        "artifacts": [{ "name": "public/refused.bin", "type": "file", "path": "x" }],
    });
    let (_, state, log) = run(&bed, payload).await;
    assert_eq!(state, "failed", "{log}");
    assert_eq!(refusal.hits(), 1, "not retried");
    assert!(
        log.contains("[taskcluster:error] Cannot upload `public/refused.bin`: "),
        "{log}"
    );
    assert_eq!(
        artifact_names(&bed),
        ["public/refused.bin"],
        "the error artifact"
    );
}

#[tokio::test]
async fn duplicate_names_fail_the_task() {
    let bed = TestBed::new().await;
    let payload = json!({
        "command": ["sh", "-c", "mkdir -p out/logs; echo 1 > out/a; echo 2 > b; echo 3 > out/logs/live.log"],
        "artifacts": [
            { "name": "public", "type": "directory", "path": "out" },
            { "name": "public/a", "type": "file", "path": "b" },
        ],
    });
    let (task_id, state, log) = run(&bed, payload).await;
    assert_eq!(state, "failed", "{log}");
    assert_eq!(bed.text(&task_id, "public/a").await, "1\n");
    for line in [
        "[taskcluster:error] Artifact `public/a`: another entry of `artifacts` has the same name\n",
        "[taskcluster:error] Artifact `public/logs/live.log`: this name belongs to the log of the task\n",
    ] {
        assert!(log.contains(line), "{line}{log}");
    }
    assert_eq!(bed.text(&task_id, "public/logs/live.log").await, log);
}

#[tokio::test]
async fn author_of_valid_artifacts_is_not_blamed() {
    let bed = TestBed::new().await;
    bed.taskcluster
        .inject(super::faults::status("s3.put", 403).on_path("b.bin"));
    let payload = json!({
        "command": ["sh", "-c", "echo x > x"],
        "artifacts": [{ "name": "public/b.bin", "type": "file", "path": "x" }],
    });
    let (_, state, _) = run(&bed, payload).await;
    assert_eq!(state, "exception/resource-unavailable");
}

#[tokio::test]
async fn only_a_missing_path_is_optional() {
    let optional =
        |path| json!({ "name": "public/a", "type": "file", "path": path, "optional": true });
    for (path, expected, line) in [
        (
            "none",
            "completed",
            "Optional artifact `public/a` does not exist\n",
        ),
        (
            "folder",
            "failed",
            "[taskcluster:error] Artifact `public/a`: ",
        ),
    ] {
        let bed = TestBed::new().await;
        let payload = json!({ "command": ["mkdir", "folder"], "artifacts": [optional(path)] });
        let (_, state, log) = run(&bed, payload).await;
        assert_eq!(state, expected, "{log}");
        assert!(log.contains(line), "{log}");
    }
}
