//! The file with the state.

use std::fs;
use std::path::{Path, PathBuf};

use runtime_taskcluster_embedded::{StartError, TaskState, Taskcluster};
use serde_json::json;
use tempfile::TempDir;

use super::{folder, restart, start};
use crate::support::{Client, create};

#[tokio::test]
async fn second_server_is_refused() {
    let folder = folder();
    let taskcluster = start(&folder).await;
    let second = Taskcluster::builder().data_dir(folder.path());
    let error = second.start().await.unwrap_err();
    assert!(matches!(error, StartError::InUse { .. }), "{error}");
    restart(taskcluster, &folder).await;
}

fn journal(folder: &TempDir) -> PathBuf {
    folder.path().join("journal")
}

async fn start_error(folder: &Path) -> String {
    let builder = Taskcluster::builder().data_dir(folder);
    builder.start().await.unwrap_err().to_string()
}

#[tokio::test]
async fn cut_record_is_dropped() {
    let folder = folder();
    let taskcluster = start(&folder).await;
    let first = create(&taskcluster, json!({}));
    let second = create(&taskcluster, json!({}));
    taskcluster.stop().await;
    let bytes = fs::read(journal(&folder)).unwrap();
    fs::write(journal(&folder), &bytes[..bytes.len() - 3]).unwrap();
    let taskcluster = start(&folder).await;
    taskcluster.status(&first).unwrap();
    taskcluster.status(&second).unwrap_err();
    let third = create(&taskcluster, json!({}));
    let taskcluster = restart(taskcluster, &folder).await;
    taskcluster.status(&third).unwrap();
}

#[tokio::test]
async fn damaged_record_is_an_error() {
    let folder = folder();
    let taskcluster = start(&folder).await;
    create(&taskcluster, json!({ "metadata": { "name": "original" } }));
    create(&taskcluster, json!({}));
    taskcluster.stop().await;
    let text = fs::read_to_string(journal(&folder)).unwrap();
    fs::write(journal(&folder), text.replace("original", "modified")).unwrap();
    let error = start_error(folder.path()).await;
    let expected = format!(
        "the state in `{}` is damaged at byte ",
        journal(&folder).display()
    );
    assert!(error.starts_with(&expected), "{error}");
}

#[tokio::test]
async fn foreign_file_is_not_changed() {
    let folder = folder();
    let foreign = "damaged at byte 0: the first line is not";
    let other_version =
        "of another version; use the version that wrote it, or choose another folder";
    for (text, expected) in [
        ("notes of somebody\n", foreign),
        ("notes", foreign),
        ("embedded Taskcluster journal two\n", foreign),
        ("embedded Taskcluster journal 1\n", other_version),
        ("embedded Taskcluster journal 30", other_version),
    ] {
        fs::write(journal(&folder), text).unwrap();
        let error = start_error(folder.path()).await;
        assert!(error.contains(expected), "{error}");
        assert_eq!(fs::read_to_string(journal(&folder)).unwrap(), text);
    }
    fs::write(journal(&folder), "embedded Taskc").unwrap();
    start(&folder).await.stop().await;
}

#[tokio::test]
async fn journal_is_rewritten_when_it_has_grown() {
    const VALUE: usize = 1024 * 1024;
    let folder = folder();
    let taskcluster = start(&folder).await;
    let resolved = create(&taskcluster, json!({}));
    taskcluster.cancel_task(&resolved).unwrap();
    let pending = create(&taskcluster, json!({}));
    for n in 0..40 {
        taskcluster.set_secret("large", json!({ "n": n, "text": "x".repeat(VALUE) }));
    }
    let len = fs::metadata(journal(&folder)).unwrap().len();
    assert!(len < 30 * VALUE as u64, "{len}");
    let before = taskcluster.status(&resolved).unwrap();
    let taskcluster = restart(taskcluster, &folder).await;
    assert_eq!(taskcluster.status(&resolved).unwrap(), before);
    assert_eq!(
        taskcluster.status(&pending).unwrap().state,
        TaskState::Pending
    );
    let secret = Client::root(&taskcluster)
        .get("/api/secrets/v1/secret/large")
        .await;
    assert_eq!(secret.body["secret"]["n"], 39);
}

/// Appends until a rewrite is due.
fn grow(taskcluster: &Taskcluster) {
    let text = "x".repeat(1024 * 1024);
    for n in 0..20 {
        taskcluster.set_secret("large", json!({ "n": n, "text": text }));
    }
}

#[cfg(unix)]
#[tokio::test]
async fn failed_rewrite_keeps_the_journal() {
    let folder = folder();
    let taskcluster = start(&folder).await;
    let resolved = create(&taskcluster, json!({ "metadata": { "name": "first" } }));
    taskcluster.cancel_task(&resolved).unwrap();
    // The server has the file open, and cannot put another one in its place.
    let backup = folder.path().join("backup");
    fs::rename(journal(&folder), &backup).unwrap();
    fs::create_dir(journal(&folder)).unwrap();
    grow(&taskcluster);
    assert!(!folder.path().join("journal.new").exists());
    assert!(fs::metadata(&backup).unwrap().len() > 20 * 1024 * 1024);
    let pending = create(&taskcluster, json!({}));
    let definition = taskcluster.task(&resolved).unwrap();
    assert_eq!(definition["metadata"]["name"], "first");
    fs::remove_dir(journal(&folder)).unwrap();
    fs::rename(&backup, journal(&folder)).unwrap();
    let taskcluster = restart(taskcluster, &folder).await;
    assert_eq!(taskcluster.task(&resolved).unwrap(), definition);
    taskcluster.status(&pending).unwrap();
}

#[tokio::test]
async fn rest_of_a_rewrite_is_removed() {
    let folder = folder();
    start(&folder).await.stop().await;
    let rest = folder.path().join("journal.new");
    fs::write(&rest, "part").unwrap();
    start(&folder).await.stop().await;
    assert!(!rest.exists());
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_reads_the_state() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = folder();
    let mode = || fs::metadata(journal(&folder)).unwrap().permissions().mode() & 0o777;
    start(&folder).await.stop().await;
    assert_eq!(mode(), 0o600);
    // A copy that was restored from a backup.
    fs::set_permissions(journal(&folder), fs::Permissions::from_mode(0o644)).unwrap();
    start(&folder).await.stop().await;
    assert_eq!(mode(), 0o600);
}
