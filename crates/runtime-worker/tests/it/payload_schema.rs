//! The merged schema of payloads.

use runtime_worker::payload::PayloadSchema;
use serde_json::{Value, json};

#[test]
fn schema_error_names_its_part() {
    let good = json!({ "properties": { "good": { "type": "string" } } });
    let with = |schema: Value| {
        let bad = json!({ "properties": { "bad": schema } });
        let parts = [("engine", good.clone()), ("my-plugin", bad)];
        let error = PayloadSchema::merge(parts).expect_err("an invalid schema");
        error.to_string()
    };
    let error = with(json!({ "items": [{ "$ref": "#/$defs/Mount" }] }));
    let expected = "the payload schema of `my-plugin` uses `$ref` in `bad`, which is not supported: `#/$defs/Mount`";
    assert!(error.starts_with(expected), "{error}");
    let error = with(json!({ "type": "text" }));
    let expected = "the payload schema of `my-plugin` is invalid: ";
    assert!(error.starts_with(expected), "{error}");

    // A property of that name is not a reference.
    let named =
        json!({ "properties": { "link": { "properties": { "$ref": { "type": "string" } } } } });
    PayloadSchema::merge([("my-plugin", named)]).expect("a valid schema");
}

fn part_with_features(features: Value) -> Value {
    json!({ "properties": { "features": {
        "type": "object",
        "properties": features,
        "additionalProperties": false,
    } } })
}

#[test]
fn object_is_shared_by_parts() {
    let proxy = part_with_features(json!({ "proxy": { "type": "boolean" } }));
    let mut shell = part_with_features(json!({ "shell": { "type": "boolean" } }));
    shell["properties"]["features"]["required"] = json!(["shell"]);
    let schema = PayloadSchema::merge([("proxy", proxy), ("shell", shell)]);
    let schema = schema.expect("different properties");
    let check = |features: Value| {
        let checked = schema.check(&json!({ "features": features }));
        checked.map_err(|error| error.messages().join("; "))
    };
    assert_eq!(check(json!({ "proxy": true, "shell": false })), Ok(()));
    let error = check(json!({ "shel": true })).expect_err("a misspelled property");
    assert!(
        error.contains("`payload.features.shel`, did you mean `shell`?"),
        "{error}"
    );
    assert!(
        error.contains("missing key `payload.features.shell`"),
        "{error}"
    );
    assert!(check(json!({ "proxy": 1, "shell": true })).is_err());
}

#[test]
fn shared_property_fails_the_merge() {
    let flag = || part_with_features(json!({ "flag": { "type": "boolean" } }));
    let other = part_with_features(json!({ "other": { "type": "boolean" } }));
    let mut open = other.clone();
    open["properties"]["features"]["additionalProperties"] = json!(true);
    let error = |first: Value, second: Value, third: Value| {
        let parts = [("first", first), ("second", second), ("third", third)];
        let error = PayloadSchema::merge(parts).expect_err("a property of two parts");
        error.to_string()
    };
    let both = error(flag(), other.clone(), flag());
    assert!(
        both.starts_with("`first` and `third` both read `payload.features.flag`"),
        "{both}"
    );
    let both = error(flag(), other.clone(), other.clone());
    assert!(
        both.starts_with("`second` and `third` both read `payload.features.other`"),
        "{both}"
    );
    let both = error(flag(), open, other);
    assert!(
        both.starts_with("`first` and `second` both read `payload.features`;"),
        "{both}"
    );
    let bad = part_with_features(json!({ "bad": { "type": "text" } }));
    let invalid = error(flag(), bad, json!({ "properties": {} }));
    assert!(
        invalid.starts_with("the payload schema of `second` is invalid"),
        "{invalid}"
    );
}
