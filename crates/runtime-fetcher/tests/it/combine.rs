//! Combinations of fetchers.

use std::sync::Arc;

use runtime_core::ScopeSet;
use runtime_fetcher::{
    ArtifactFetcher, Base64Fetcher, Combine, FetchContext, FetchError, Fetcher, IndexFetcher,
    InvalidReference, MemoryTarget, ObjectFetcher, RawFetcher, Reference, UrlFetcher,
    UrlHashFetcher,
};
use serde_json::{Value, json};

use crate::support::context;

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
        // The queue limits both, and may allow more one day.
        (
            json!({ "taskId": TASK, "artifact": "a".repeat(1025), "runId": 51 }),
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

/// A fetcher of which only the name and the schema matter. Its references all have the same bytes and hash key.
#[derive(Debug)]
struct Kind(&'static str, Value);

#[async_trait::async_trait]
impl Fetcher for Kind {
    fn name(&self) -> &'static str {
        self.0
    }

    fn schema(&self) -> Value {
        self.1.clone()
    }

    fn check(&self, reference: &Value) -> Result<(), InvalidReference> {
        let key = self.1["required"][0].as_str().unwrap_or_default();
        if reference.get(key).is_some() {
            Ok(())
        } else {
            Err(InvalidReference::new(self.0, "another kind"))
        }
    }

    async fn resolve(
        &self,
        context: &FetchContext,
        _: &Value,
    ) -> Result<Arc<dyn Reference>, FetchError> {
        RawFetcher.resolve(context, &json!({ "raw": "" })).await
    }
}

fn kind(name: &'static str, schema: Value) -> Arc<dyn Fetcher> {
    Arc::new(Kind(name, schema))
}

/// Returns a fetcher of objects with one key.
fn keyed(name: &'static str, key: &str) -> Arc<dyn Fetcher> {
    let schema = json!({
        "type": "object", "properties": { key: {} }, "required": [key], "additionalProperties": false,
    });
    kind(name, schema)
}

async fn hash_key(fetcher: &dyn Fetcher, reference: Value) -> String {
    let resolved = fetcher.resolve(&context(), &reference).await;
    resolved.expect("a valid reference").hash_key().to_string()
}

#[tokio::test]
async fn fetchers_never_share_keys() {
    let (standard, context) = (Arc::new(Combine::standard()), context());
    let combined = Combine::new([
        standard as Arc<dyn Fetcher>,
        keyed("a", "a"),
        keyed("b", "b"),
    ]);
    let combined = combined.expect("different names");
    let mut keys = std::collections::BTreeSet::new();
    for reference in [json!({ "raw": "" }), json!({ "a": 0 }), json!({ "b": 0 })] {
        let resolved = combined.resolve(&context, &reference).await;
        let resolved = resolved.expect("a valid reference");
        keys.insert(resolved.hash_key());

        let mut target = MemoryTarget::new(9);
        let fetched = resolved.fetch(&context, &mut target).await;
        assert_eq!(fetched.expect("fetches").bytes, 0);
        assert!(resolved.scopes().satisfied_by(&ScopeSet::default()));
    }
    assert_eq!(keys.len(), 3);
}

#[tokio::test]
async fn nested_combinations_do_not_share_keys() {
    let inner: Arc<dyn Fetcher> = Arc::new(Combine::new([keyed("a", "a")]).expect("one fetcher"));
    let outer = Combine::new([inner, keyed("a", "b")]).expect("different names");
    let first = hash_key(&outer, json!({ "a": 0 })).await;
    assert_ne!(first, hash_key(&outer, json!({ "b": 0 })).await);
}

#[tokio::test]
async fn added_fetchers_do_not_change_keys() {
    let standard: Arc<dyn Fetcher> = Arc::new(Combine::standard());
    let added = Combine::new([keyed("b", "b"), standard, keyed("a", "a")]);
    let added = added.expect("different names");
    let raw = json!({ "raw": "" });
    let before = hash_key(&RawFetcher, raw.clone()).await;
    assert_eq!(hash_key(&Combine::standard(), raw.clone()).await, before);
    assert_eq!(hash_key(&added, raw).await, before);

    let a = json!({ "a": 0 });
    let alone = Combine::new([keyed("a", "a")]).expect("one fetcher");
    assert_eq!(hash_key(&alone, a.clone()).await, hash_key(&added, a).await);
}

#[test]
fn equal_names_are_ambiguous() {
    let error = Combine::new([keyed("a", "a"), keyed("a", "b")]).expect_err("equal names");
    assert_eq!((error.first, error.second), ("a", "a"));
}

#[test]
fn open_schemas_are_ambiguous() {
    // The schema of raw references forbids `key`; two open schemas do not exclude each other.
    let open = |name| kind(name, json!({ "type": "object", "required": ["key"] }));
    let raw: Arc<dyn Fetcher> = Arc::new(RawFetcher);
    assert!(Combine::new([raw, open("a")]).is_ok());
    assert!(Combine::new([open("a"), open("b")]).is_err());
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
        let combined = Combine::new([kind("a", first.clone()), kind("b", second.clone())]);
        assert_eq!(combined.is_err(), ambiguous, "{first} and {second}");
    }
}

#[test]
fn standard_fetchers_are_unambiguous() {
    let fetchers: [Arc<dyn Fetcher>; 7] = [
        Arc::new(UrlFetcher),
        Arc::new(UrlHashFetcher),
        Arc::new(ArtifactFetcher),
        Arc::new(IndexFetcher),
        Arc::new(ObjectFetcher),
        Arc::new(RawFetcher),
        Arc::new(Base64Fetcher),
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
