//! Combinations of fetchers.

use std::sync::Arc;

use runtime_fetcher::{
    ArtifactFetcher, Combine, Fetcher, IndexFetcher, RawFetcher, UrlFetcher, UrlHashFetcher,
};
use serde_json::{Value, json};

const TASK: &str = "RmzTkg-8Qj614ea9fI9Jmg";

fn references() -> Vec<(Value, bool)> {
    vec![
        (json!("https://example.com/a"), true),
        (json!("HTTP://example.com"), true),
        (json!({ "url": "https://example.com/a" }), true),
        (
            json!({ "url": "https://example.com/a", "sha256": "a".repeat(64) }),
            true,
        ),
        (
            json!({ "url": "https://example.com/a", "md5": "a".repeat(32), "sha1": "B".repeat(40) }),
            true,
        ),
        (json!({ "taskId": TASK, "artifact": "public/a" }), true),
        (
            json!({ "taskId": TASK, "artifact": "public/a", "runId": 1, "sha256": "a".repeat(64) }),
            true,
        ),
        (
            json!({ "namespace": "a.b-c.D_1", "artifact": "public/a" }),
            true,
        ),
        (json!({ "object": "project/a" }), true),
        (json!({ "object": "" }), false),
        (json!({ "raw": "" }), true),
        (json!({ "base64": "aGVsbG8=" }), true),
        (json!(null), false),
        (json!(7), false),
        (json!([]), false),
        (json!({}), false),
        (json!("ftp://example.com/a"), false),
        (json!({ "url": "file:///etc/passwd" }), false),
        (
            json!({ "url": "https://example.com/a", "sha256": "a".repeat(63) }),
            false,
        ),
        (
            json!({ "url": "https://example.com/a", "sha256": "x".repeat(64) }),
            false,
        ),
        (json!({ "url": "https://example.com/a", "extra": 1 }), false),
        (json!({ "taskId": "nope", "artifact": "public/a" }), false),
        (json!({ "taskId": TASK }), false),
        (json!({ "taskId": TASK, "artifact": "" }), false),
        (
            json!({ "taskId": TASK, "artifact": "public/a", "runId": -1 }),
            false,
        ),
        (
            json!({ "taskId": TASK, "namespace": "a", "artifact": "public/a" }),
            false,
        ),
        (
            json!({ "namespace": "a..b", "artifact": "public/a" }),
            false,
        ),
        (json!({ "namespace": "", "artifact": "public/a" }), false),
        (json!({ "base64": "!" }), false),
        (json!({ "raw": 1 }), false),
    ]
}

#[test]
fn check_and_schema_agree() {
    let fetcher = Combine::standard();
    let schema = jsonschema::validator_for(&fetcher.schema()).expect("schema is valid");
    for (reference, good) in references() {
        assert_eq!(
            fetcher.check(&reference).is_ok(),
            good,
            "check of {reference}"
        );
        assert_eq!(schema.is_valid(&reference), good, "schema on {reference}");
    }
}

fn reasons(reference: Value) -> Vec<(&'static str, String)> {
    let error = Combine::standard()
        .check(&reference)
        .expect_err("reference is invalid");
    error
        .mismatches()
        .iter()
        .map(|mismatch| (mismatch.kind, mismatch.reason.clone()))
        .collect()
}

#[test]
fn every_kind_reports_its_mismatch() {
    let reasons = reasons(json!({ "taskId": TASK, "artefact": "public/a" }));
    let names: std::collections::BTreeSet<_> = reasons.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        names,
        [
            "artifact",
            "base64",
            "index",
            "object",
            "raw",
            "url",
            "url with hash"
        ]
        .into()
    );
    assert!(reasons.iter().all(|(_, reason)| !reason.is_empty()));
}

#[test]
fn most_similar_kind_is_named_first() {
    let (name, reason) = reasons(json!({ "taskId": TASK, "artefact": "public/a" })).remove(0);
    assert_eq!(name, "artifact");
    assert!(reason.contains("unknown field `artefact`"), "{reason}");

    let hash = json!({ "url": "https://example.com", "sha256": "a".repeat(60) });
    let (name, reason) = reasons(hash).remove(0);
    assert_eq!(name, "url with hash");
    assert!(reason.contains("64 hexadecimal digits"), "{reason}");
}

#[test]
fn equal_fetchers_are_ambiguous() {
    let error = Combine::new([
        Arc::new(UrlFetcher) as Arc<dyn Fetcher>,
        Arc::new(UrlFetcher),
    ]);
    let error = error.expect_err("fetchers are equal");
    assert_eq!((error.first, error.second), ("url", "url"));
}

/// A fetcher of which only the schema matters.
#[derive(Debug)]
struct Kind(Value);

#[async_trait::async_trait]
impl Fetcher for Kind {
    fn name(&self) -> &'static str {
        "kind"
    }

    fn schema(&self) -> Value {
        self.0.clone()
    }

    fn check(&self, _: &Value) -> Result<(), runtime_fetcher::InvalidReference> {
        Ok(())
    }

    async fn resolve(
        &self,
        _: &runtime_fetcher::FetchContext,
        _: &Value,
    ) -> Result<Arc<dyn runtime_fetcher::Reference>, runtime_fetcher::FetchError> {
        unreachable!("these tests resolve nothing")
    }
}

fn kind(schema: Value) -> Arc<dyn Fetcher> {
    Arc::new(Kind(schema))
}

#[test]
fn open_schemas_are_ambiguous() {
    // The schema of raw references forbids `key`; two open schemas do not exclude each other.
    let open = || kind(json!({ "type": "object", "required": ["key"] }));
    let raw: Arc<dyn Fetcher> = Arc::new(RawFetcher);
    assert!(Combine::new([raw, open()]).is_ok());
    assert!(Combine::new([open(), open()]).is_err());
}

#[test]
fn overlapping_types_or_keys_are_ambiguous() {
    let key = |schema: Value| {
        let mut schema = schema;
        schema["type"] = "object".into();
        schema["additionalProperties"] = false.into();
        schema
    };
    let a = || key(json!({ "properties": { "a": {} }, "required": ["a"] }));
    for (first, second, ambiguous) in [
        (
            json!({ "type": "string" }),
            json!({ "type": "number" }),
            false,
        ),
        (
            json!({ "type": "integer" }),
            json!({ "type": "number" }),
            true,
        ),
        (
            json!({ "type": ["string", "null"] }),
            json!({ "type": "null" }),
            true,
        ),
        (a(), json!({ "type": "string" }), false),
        (
            a(),
            key(json!({ "properties": { "b": {} }, "required": ["b"] })),
            false,
        ),
        (
            a(),
            key(json!({ "properties": { "a": {}, "b": {} } })),
            true,
        ),
        (a(), key(json!({ "patternProperties": { "^a": {} } })), true),
        (a(), json!({ "oneOf": [{ "type": "string" }, a()] }), true),
        (a(), json!({}), true),
    ] {
        let combined = Combine::new([kind(first.clone()), kind(second.clone())]);
        assert_eq!(combined.is_err(), ambiguous, "{first} and {second}");
    }
}

#[test]
fn standard_fetchers_are_unambiguous() {
    let fetchers: [Arc<dyn Fetcher>; 5] = [
        Arc::new(UrlFetcher),
        Arc::new(UrlHashFetcher),
        Arc::new(ArtifactFetcher),
        Arc::new(IndexFetcher),
        Arc::new(RawFetcher),
    ];
    Combine::new(fetchers).expect("fetchers are unambiguous");
    let standard: Arc<dyn Fetcher> = Arc::new(Combine::standard());
    Combine::new([standard]).expect("a combination is a fetcher");
}

#[test]
fn nested_combination_is_checked() {
    let standard: Arc<dyn Fetcher> = Arc::new(Combine::standard());
    let error = Combine::new([standard, Arc::new(RawFetcher)]).expect_err("both accept `raw`");
    assert_eq!((error.first, error.second), ("any", "raw"));
}

#[test]
fn referenced_task_is_returned() {
    let fetcher = Combine::standard();
    let named = |reference: Value| {
        fetcher
            .referenced_task(&reference)
            .map(|task| task.to_string())
    };
    let artifact = json!({ "taskId": TASK, "artifact": "public/a" });
    assert_eq!(named(artifact).as_deref(), Some(TASK));
    assert_eq!(
        named(json!({ "namespace": "a", "artifact": "public/a" })),
        None
    );
    assert_eq!(named(json!({ "raw": TASK })), None);
    assert_eq!(named(json!({ "taskId": TASK })), None);
}
