//! Keys and scopes of references.

use runtime_core::{ScopeSet, Services};
use runtime_fetcher::{FetchContext, HttpClient, RequiredScopes};
use serde_json::{Value, json};

use crate::support::{FakeServices, config, context, resolve};

const TASK: &str = "RmzTkg-8Qj614ea9fI9Jmg";

async fn key(reference: Value) -> String {
    resolve(&context(), reference).await.hash_key().to_string()
}

#[tokio::test]
async fn strong_hashes_share_between_urls() {
    let a = key(json!({ "url": "https://a.example/x", "sha256": "a".repeat(64) })).await;
    let b = key(json!({ "url": "https://b.example/y", "sha256": "A".repeat(64) })).await;
    assert_eq!(a, b);
}

#[tokio::test]
async fn different_hashes_have_different_keys() {
    let url = "https://a.example/x";
    let plain = key(json!({ "url": url })).await;
    let first = key(json!({ "url": url, "sha256": "a".repeat(64) })).await;
    let second = key(json!({ "url": url, "sha256": "b".repeat(64) })).await;
    let both = key(json!({ "url": url, "sha256": "a".repeat(64), "md5": "c".repeat(32) })).await;
    let keys = std::collections::BTreeSet::from([plain, first, second, both]);
    assert_eq!(keys.len(), 4);
}

#[tokio::test]
async fn weak_hashes_do_not_share_between_urls() {
    for (name, length) in [("md5", 32), ("sha1", 40)] {
        let a = key(json!({ "url": "https://a.example/x", name: "a".repeat(length) })).await;
        let b = key(json!({ "url": "https://b.example/x", name: "a".repeat(length) })).await;
        assert_ne!(a, b);
    }
}

#[tokio::test]
async fn keys_contain_no_part_of_the_url() {
    let key = key(json!("https://user:hunter2@a.example/x?token=hunter2")).await;
    assert!(
        key.starts_with("url:") && !key.contains("hunter2") && !key.contains("example"),
        "{key}"
    );
}

#[tokio::test]
async fn string_and_object_urls_share_a_key() {
    assert_eq!(
        key(json!("https://a.example/x")).await,
        key(json!({ "url": "https://a.example/x#part" })).await
    );
}

#[tokio::test]
async fn runs_and_artifact_names_differ_in_key() {
    let mut keys = std::collections::BTreeSet::new();
    for (run, name) in [(0, "public/a"), (1, "public/a"), (0, "public/b")] {
        keys.insert(key(json!({ "taskId": TASK, "runId": run, "artifact": name })).await);
    }
    assert_eq!(keys.len(), 3);
}

#[tokio::test]
async fn artifact_key_differs_from_url_key() {
    let hash = "a".repeat(64);
    let artifact = json!({ "taskId": TASK, "runId": 0, "artifact": "private/a", "sha256": hash });
    let url = json!({ "url": "https://a.example/x", "sha256": hash });
    assert_ne!(key(artifact).await, key(url).await);
}

#[tokio::test]
async fn private_artifacts_require_scopes() {
    let context = context();
    let private = json!({ "taskId": TASK, "runId": 0, "artifact": "private/a" });
    let scopes = resolve(&context, private).await.scopes();
    assert!(!scopes.satisfied_by(&ScopeSet::default()));
    assert!(scopes.satisfied_by(&ScopeSet::new(["queue:get-artifact:private/*"])));
    assert_eq!(scopes.to_string(), "queue:get-artifact:private/a");

    let publicity = json!({ "taskId": TASK, "runId": 0, "artifact": "publicity/a" });
    let scopes = resolve(&context, publicity).await.scopes();
    assert!(!scopes.satisfied_by(&ScopeSet::default()));

    let public = json!({ "taskId": TASK, "runId": 0, "artifact": "public/a" });
    assert!(
        resolve(&context, public)
            .await
            .scopes()
            .satisfied_by(&ScopeSet::default())
    );
}

#[test]
fn one_complete_scope_set_suffices() {
    let required = RequiredScopes::all_of(["a", "b"]).or_all_of(["c"]);
    for (have, enough) in [
        (&["a", "b"][..], true),
        (&["c"], true),
        (&["a"], false),
        (&["b", "d"], false),
        (&[], false),
    ] {
        let have = ScopeSet::new(have.iter().copied());
        assert_eq!(required.satisfied_by(&have), enough, "{have:?}");
    }
    assert_eq!(required.to_string(), "a and b, or c");
}

#[tokio::test]
async fn indexed_artifact_has_the_artifacts_key() {
    let mut fake = FakeServices::new();
    fake.runs = 3;
    fake.indexed.insert(
        "project.v2.latest".into(),
        TASK.parse().expect("task id is valid"),
    );
    let http = HttpClient::new(config()).expect("configuration is valid");
    let context = FetchContext::new(http, fake.services());
    let indexed = json!({ "namespace": "project.v2.latest", "artifact": "public/a" });
    let indexed = resolve(&context, indexed).await.hash_key();
    assert_eq!(
        indexed.to_string(),
        key(json!({ "taskId": TASK, "runId": 2, "artifact": "public/a" })).await
    );
}

#[tokio::test]
async fn debug_and_subject_hide_secrets() {
    let http = HttpClient::new(config()).expect("configuration is valid");
    let context = FetchContext::new(http, Services::disconnected());
    let url = "https://user:hunter2@a.example/x?token=hunter2";
    let reference = resolve(&context, json!({ "url": url })).await;
    assert_eq!(reference.subject(), "https://a.example/x?…");
    assert!(!format!("{reference:?}").contains("hunter2"));
}
