//! Describes unknown keys of payloads and configurations, and suggests known ones.

use std::borrow::Cow;

use jsonschema::ValidationError;
use serde_json::Value;

use crate::problem::{Problem, escape, join};

/// The number of unknown keys of an object that are described. A file may contain any number, and an author reads few.
const MAX_DESCRIBED: usize = 10;

/// The length of a key, in bytes, beyond which it is shortened and no known key is suggested: the search takes time
/// quadratic in it.
const MAX_KEY_LENGTH: usize = 64;

/// Describes the keys of the object at `path` that its schema does not allow, up to ten.
pub(crate) fn describe_unknown_keys(
    error: &ValidationError<'_>,
    unexpected: &[String],
    path: &str,
    schema: &Value,
) -> Vec<Problem> {
    let schema_path = error.schema_path().to_string();
    let known = known_keys(schema, &schema_path);
    let (described, omitted) = unexpected.split_at(unexpected.len().min(MAX_DESCRIBED));
    let object = error.instance_path().to_string();
    let described = described.iter().map(|key| Problem {
        pointer: format!("{object}/{}", escape(key)),
        text: describe_unknown(path, key, &known),
    });
    let mut problems: Vec<_> = described.collect();
    if !omitted.is_empty() {
        let location = if path.is_empty() {
            String::new()
        } else {
            format!(" in `{path}`")
        };
        problems.push(Problem {
            text: format!("{} more unknown keys{location}", omitted.len()),
            // No key, since the object itself is no problem.
            pointer: format!("{object}/"),
        });
    }
    problems
}

fn describe_unknown(path: &str, key: &str, known: &[&str]) -> String {
    let full = join(path, &shorten(key));
    match nearest(key, known) {
        Some(nearest) => format!("unknown key `{full}`, did you mean `{nearest}`?"),
        None if known.is_empty() => format!("unknown key `{full}`"),
        None => format!("unknown key `{full}`, expected one of {}", known.join(", ")),
    }
}

/// Returns the known key that the author probably meant: one that contains the key, such as `killTimeout` for `kill`, or
/// one that differs by a typing error.
fn nearest<'a>(key: &str, known: &[&'a str]) -> Option<&'a str> {
    if key.len() > MAX_KEY_LENGTH {
        return None;
    }
    let key = key.to_lowercase();
    let distance = |known: &str| {
        let known = known.to_lowercase();
        if known.contains(&key) {
            0
        } else {
            strsim::damerau_levenshtein(&known, &key)
        }
    };
    let known = known.iter().map(|known| (distance(known), *known));
    let (distance, nearest) = known.min()?;
    // If more than half of the letters differ, a suggestion would mislead.
    (distance <= key.len().max(2) / 2).then_some(nearest)
}

fn shorten(key: &str) -> Cow<'_, str> {
    if key.len() <= MAX_KEY_LENGTH {
        return key.into();
    }
    let end = key.floor_char_boundary(MAX_KEY_LENGTH);
    format!("{}...", &key[..end]).into()
}

/// Returns the keys that the violated part of the schema allows.
fn known_keys<'a>(schema: &'a Value, schema_path: &str) -> Vec<&'a str> {
    let object = schema_path
        .strip_suffix("/additionalProperties")
        .unwrap_or(schema_path);
    let properties = schema.pointer(object).map(|schema| &schema["properties"]);
    let properties = properties.and_then(Value::as_object).into_iter().flatten();
    properties.map(|(key, _)| key.as_str()).collect()
}
