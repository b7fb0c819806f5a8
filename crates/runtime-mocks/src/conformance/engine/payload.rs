//! Claims about the description of an engine, and about payloads.

use std::collections::HashSet;

use runtime_worker::payload::PayloadSchema;
use serde_json::{Value, json};

use super::print;
use crate::conformance::EngineUnderTest;
use crate::conformance::engine_test::{EngineTest, assert_malformed};

pub(super) async fn name_is_set<U: EngineUnderTest>(test: EngineTest<U>) {
    let name = test.engine.name();
    assert!((1..=32).contains(&name.len()), "{name:?}");
    assert!(!name.contains(char::is_whitespace), "{name:?}");
}

pub(super) async fn schema_is_an_object<U: EngineUnderTest>(test: EngineTest<U>) {
    PayloadSchema::merge([("engine", test.engine.payload_schema())]).expect("a valid schema");
}

pub(super) async fn payload_fits_schema<U: EngineUnderTest>(test: EngineTest<U>) {
    let schema = PayloadSchema::merge([("engine", test.engine.payload_schema())]);
    let payload = test.under_test.payload(&[print("well")]);
    let checked = schema.expect("a valid schema").check(&payload);
    checked.expect("the payload of the suite fits");
    let checked = test.engine.check_payload(&payload);
    checked.expect("the payload of the suite is valid");
}

pub(super) async fn capabilities_are_unique<U: EngineUnderTest>(test: EngineTest<U>) {
    let capabilities = test.engine.capabilities();
    let unique: HashSet<_> = capabilities.iter().collect();
    assert_eq!(unique.len(), capabilities.len());
}

pub(super) async fn documentation_has_titles<U: EngineUnderTest>(test: EngineTest<U>) {
    for section in test.engine.documentation() {
        assert!(!section.title.is_empty() && !section.content.is_empty());
    }
}

/// Returns payloads that an engine must not accept: each property is replaced by values of every other type.
fn hostile_payloads(valid: &Value) -> Vec<Value> {
    let mut deep = json!([]);
    for _ in 0..100 {
        deep = json!([deep]);
    }
    let values = [
        Value::Null,
        json!(-1),
        json!(1e300),
        json!({}),
        json!({ "": null }),
        json!("\0"),
        deep,
    ];
    let mut payloads = vec![json!(null), json!([]), json!("text"), json!(7)];
    let properties = valid.as_object().into_iter().flat_map(|it| it.keys());
    for property in properties {
        for value in &values {
            let mut payload = valid.clone();
            payload[property] = value.clone();
            payloads.push(payload);
        }
    }
    payloads
}

pub(super) async fn hostile_payloads_are_refused<U: EngineUnderTest>(test: EngineTest<U>) {
    let schema = PayloadSchema::merge([("engine", test.engine.payload_schema())]);
    let schema = schema.expect("a valid schema");
    for payload in hostile_payloads(&test.under_test.payload(&[print("well")])) {
        let checked = test.engine.check_payload(&payload);
        if checked.is_ok() && schema.check(&payload).is_ok() {
            // A value that the engine accepts must not make it fail either.
            continue;
        }
        let (_task, run) = test.task_with(payload.clone());
        let created = test.engine.new_sandbox_builder(&run).await;
        // The worker does not ask for a builder then, and an engine may rely on that, but must not panic.
        if created.is_err() {
            assert_malformed(created, &payload);
        }
    }
}

pub(super) async fn refused_payload_leaves_nothing<U: EngineUnderTest>(test: EngineTest<U>) {
    for payload in hostile_payloads(&test.under_test.payload(&[print("well")])) {
        let (_task, run) = test.task_with(payload);
        drop(test.engine.new_sandbox_builder(&run).await);
    }
    test.assert_nothing_left().await;
}
