//! Extends a schema by the references to values from outside.

use schemars::JsonSchema;
use serde_json::{Map, Value, json};

use super::load::schema;

/// Keywords that describe a key, whatever the form of its value.
const ANNOTATIONS: [&str; 3] = ["description", "default", "examples"];

/// Returns the JSON schema of a [`ConfigDocument`](super::ConfigDocument) with the values of `T`, for editors: every text,
/// number and boolean can also be a reference.
#[must_use]
pub fn document_schema<T: JsonSchema>() -> Value {
    let mut schema = schema::<T>();
    allow_references(&mut schema);
    schema["$defs"]["reference"] = json!({
        "description": "A value from outside of the configuration.",
        "oneOf": [
            reference(&[("$env", "The name of an environment variable.")], "$env"),
            reference(&[("$file", "The path of a file.")], "$file"),
            reference(
                &[
                    ("$secret", "The name of a secret in Taskcluster's secrets service."),
                    ("$key", "The key in the secret, if it has several ones."),
                ],
                "$secret",
            ),
        ],
    });
    schema
}

fn reference(keys: &[(&str, &str)], required: &str) -> Value {
    let properties: Map<_, _> = keys
        .iter()
        .map(|(key, description)| {
            let schema = json!({ "type": "string", "description": description });
            ((*key).to_owned(), schema)
        })
        .collect();
    json!({
        "type": "object",
        "properties": properties,
        "required": [required],
        "additionalProperties": false,
    })
}

/// Adds references to the schemas of scalars, except tags, on which the other keys of a map depend.
fn allow_references(schema: &mut Value) {
    match schema {
        Value::Object(map) if is_scalar(map) => {
            let mut wrapped = Map::new();
            for keyword in ANNOTATIONS {
                wrapped.extend(map.remove(keyword).map(|it| (keyword.to_owned(), it)));
            }
            let scalar = Value::Object(std::mem::take(map));
            let reference = json!({ "$ref": "#/$defs/reference" });
            wrapped.insert("anyOf".to_owned(), json!([scalar, reference]));
            *schema = Value::Object(wrapped);
        }
        // The values of these keywords are data, not schemas.
        Value::Object(map) => map
            .iter_mut()
            .filter(|(key, _)| {
                !["default", "examples", "enum", "const", "required"].contains(&key.as_str())
            })
            .for_each(|(_, value)| allow_references(value)),
        Value::Array(list) => list.iter_mut().for_each(allow_references),
        _ => {}
    }
}

fn is_scalar(schema: &Map<String, Value>) -> bool {
    let is_scalar = |it: &Value| {
        ["string", "integer", "number", "boolean"]
            .map(Value::from)
            .contains(it)
    };
    let has_scalars = match schema.get("type") {
        Some(Value::Array(types)) => types.iter().any(is_scalar),
        Some(single) => is_scalar(single),
        None => false,
    };
    has_scalars && !schema.contains_key("const")
}
