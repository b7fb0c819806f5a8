//! Prints the effective values of a configuration.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::load::schema;
use crate::problem::join;

/// The replacement for a secret, as in [`Secret`](super::Secret).
pub(super) const REDACTED: &str = "[REDACTED]";

/// Renders a configuration with its defaults as YAML. Each [`Secret`](super::Secret) is redacted.
///
/// Keys without a value, such as limits that are not set, follow as comments, so that the result is a valid configuration.
#[must_use]
pub fn redacted<T: Serialize + JsonSchema>(config: &T) -> String {
    // Fails only for maps with keys other than strings, which a parsed configuration cannot contain.
    render::<T>(serde_json::to_value(config).unwrap_or_default())
}

/// Renders a configuration of this type.
pub(super) fn render<T: JsonSchema>(mut value: Value) -> String {
    let mut unset = Vec::new();
    find_unset(&schema::<T>(), &value, "", &mut unset);
    remove_nulls(&mut value);
    let mut text = serde_yaml_ng::to_string(&value).unwrap_or_default();
    if !unset.is_empty() {
        text.push_str("# Not set:\n");
        for key in unset {
            text.push_str("#   ");
            text.push_str(&key);
            text.push('\n');
        }
    }
    text
}

/// Collects the paths of the keys in the schema that have no value.
fn find_unset(schema: &Value, value: &Value, path: &str, unset: &mut Vec<String>) {
    let properties = schema["properties"].as_object().into_iter().flatten();
    for (key, schema) in properties {
        let path = join(path, key);
        match &value[key] {
            Value::Null => unset.push(path),
            value => find_unset(schema, value, &path, unset),
        }
    }
    for keyword in ["anyOf", "oneOf"] {
        let mut alternatives = schema[keyword].as_array().into_iter().flatten();
        if let Some(chosen) = alternatives.rfind(|it| has_tags(it, value)) {
            find_unset(chosen, value, path, unset);
        }
    }
}

/// Returns whether a schema is one of an object with the tags of this value.
fn has_tags(schema: &Value, value: &Value) -> bool {
    let Some(properties) = schema["properties"].as_object() else {
        return false;
    };
    let mut tags = properties
        .iter()
        .filter_map(|(key, schema)| Some((key, schema.get("const")?)));
    value.is_object() && tags.all(|(key, tag)| value[key] == *tag)
}

fn remove_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(remove_nulls);
        }
        Value::Array(list) => list.iter_mut().for_each(remove_nulls),
        _ => {}
    }
}
