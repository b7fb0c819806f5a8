//! Random input is rejected with an error of the services.

use std::sync::LazyLock;

use crate::support::http;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use proptest::prelude::*;
use runtime_taskcluster_embedded::{ErrorCode, Taskcluster};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

/// One server for all cases, since a start takes longer than a case.
struct World {
    runtime: Runtime,
    taskcluster: Taskcluster,
    http: reqwest::Client,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let runtime = Runtime::new().expect("a runtime");
    let taskcluster = runtime.block_on(Taskcluster::start()).expect("a free port");
    World {
        runtime,
        taskcluster,
        http: http(),
    }
});

impl World {
    /// Requests a private artifact and returns status and error code.
    fn ask(&self, query: &str, authorization: Option<&str>) -> (u16, String) {
        let url = format!(
            "{}/api/queue/v1/task/CFAKnfgiTSGBc9lIjR5CnQ/runs/0/artifacts/private/a{query}",
            self.taskcluster.root_url()
        );
        let mut request = self.http.get(url);
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        self.runtime.block_on(async {
            let response = request.send().await.expect("a response");
            let status = response.status().as_u16();
            let text = response.text().await.expect("a complete body");
            let body: Value = serde_json::from_str(&text).expect("JSON");
            (status, body["code"].as_str().unwrap_or_default().to_owned())
        })
    }
}

/// Generates an `ext` that is valid, invalid or random text.
fn ext() -> impl Strategy<Value = String> {
    let certificate = (0..3_u32, any::<i64>(), any::<i64>(), "[a-zA-Z0-9=_-]{0,44}").prop_map(
        |(version, start, expiry, seed)| {
            let certificate = json!({
                "version": version, "scopes": ["*"], "start": start, "expiry": expiry,
                "seed": seed, "signature": "c2ln", "issuer": "static/taskcluster/queue",
            });
            STANDARD.encode(json!({ "certificate": certificate }).to_string())
        },
    );
    let scopes = prop::collection::vec("[a*:]{0,4}", 0..4)
        .prop_map(|scopes| STANDARD.encode(json!({ "authorizedScopes": scopes }).to_string()));
    prop_oneof![
        certificate,
        scopes,
        "[a-zA-Z0-9+/=]{0,40}",
        Just(String::new())
    ]
}

proptest! {
    #[test]
    fn random_signature_is_rejected(
        id in "[a-z/]{0,30}|static/taskcluster/root",
        ts in prop_oneof![any::<u64>(), 0..4_000_000_000_u64],
        mac in "[a-zA-Z0-9+/=]{0,44}",
        ext in ext(),
    ) {
        let header = format!("Hawk id=\"{id}\", ts=\"{ts}\", nonce=\"a\", mac=\"{mac}\", ext=\"{ext}\"");
        let response = WORLD.ask("", Some(&header));
        prop_assert_eq!(response, (401, "AuthenticationFailed".to_owned()));
    }

    #[test]
    fn random_header_is_rejected(header in "[ -~]{0,80}|Hawk [ -~]{0,80}") {
        let response = WORLD.ask("", Some(header.trim()));
        prop_assert_eq!(response, (401, "AuthenticationFailed".to_owned()));
    }

    #[test]
    fn random_bewit_is_rejected(
        id in "[a-z/]{0,20}|static/taskcluster/root",
        expires in prop_oneof![any::<u64>(), 0..4_000_000_000_u64],
        mac in "[a-zA-Z0-9+/=]{0,44}",
        ext in ext(),
    ) {
        let bewit = URL_SAFE_NO_PAD.encode(format!("{id}\\{expires}\\{mac}\\{ext}"));
        let response = WORLD.ask(&format!("?bewit={bewit}"), None);
        prop_assert_eq!(response, (401, "AuthenticationFailed".to_owned()));
    }

    #[test]
    fn random_query_is_rejected(query in "[a-zA-Z0-9%&=?._~-]{0,40}", bewit in "[a-zA-Z0-9_%=-]{0,60}") {
        for query in [format!("?{query}"), format!("?{query}&bewit={bewit}")] {
            let (status, code) = WORLD.ask(&query, None);
            prop_assert!(matches!(status, 401 | 403), "{} {}", status, code);
        }
    }

    #[test]
    fn random_definition_is_stored_or_rejected(definition in definition()) {
        let taskcluster = &WORLD.taskcluster;
        match taskcluster.create_task(definition.clone()) {
            Ok(task_id) => {
                let created = taskcluster.task(&task_id).expect("the created task");
                for name in ["payload", "scopes", "routes", "retries", "tags", "extra"] {
                    if let Some(given) = definition.get(name) {
                        prop_assert_eq!(&created[name], given, "{}", name);
                    }
                }
            }
            Err(error) => {
                prop_assert!(matches!(error.code, ErrorCode::InputValidationError | ErrorCode::InputError | ErrorCode::InvalidRequestArguments), "{:?}", error);
                prop_assert!(!error.message.is_empty());
            }
        }
    }
}

/// Generates valid and invalid task definitions.
fn definition() -> impl Strategy<Value = Value> {
    let scopes = prop_oneof![
        prop::collection::vec("[ -~]{1,12}", 0..4).prop_map(|scopes| json!(scopes)),
        odd(),
    ];
    let fields = (
        prop::option::of(prop_oneof![(0..60_i64).prop_map(|n| json!(n)), odd()]),
        prop::option::of(scopes),
        prop::option::of(prop_oneof![Just(json!({ "a": 1 })), odd()]),
        prop::option::of(prop_oneof![
            Just(json!("test/linux")),
            "[a-zA-Z0-9/_-]{0,50}".prop_map(Value::from),
            odd()
        ]),
        prop::option::of(("[a-zA-Z]{1,12}", odd())),
    );
    fields.prop_map(|(retries, scopes, payload, queue, other)| {
        let mut task = json!({});
        let named = [
            ("retries", retries),
            ("scopes", scopes),
            ("payload", payload),
            ("taskQueueId", queue),
        ];
        for (name, value) in named {
            if let Some(value) = value {
                task[name] = value;
            }
        }
        if let Some((name, value)) = other {
            task[name] = value;
        }
        task
    })
}

/// Generates small JSON values.
fn odd() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        "[0-9TZ:.+-]{0,24}".prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[a-z]{0,8}", inner, 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}
