//! A small validator for payloads.
//!
//! It covers the part of JSON Schema that the services use, reports all errors at once and words
//! them as the real services do, since clients show these messages to people.

use serde_json::{Map, Value};

use crate::error::{ErrorCode, RequestError};
use crate::{slugid, time};

/// The largest number of nested arrays and objects in a payload.
///
/// The stored state has payloads in a few more levels, and a reader of JSON accepts 127.
const MAX_DEPTH: usize = 100;

/// Returns whether the nested levels of a value are few enough to be stored.
pub(crate) fn is_storable(value: &Value) -> bool {
    // With a list of values instead of recursion, because a caller in this process may pass any depth.
    let mut values = vec![(value, 1)];
    while let Some((value, depth)) = values.pop() {
        if depth > MAX_DEPTH && (value.is_array() || value.is_object()) {
            return false;
        }
        match value {
            Value::Array(items) => values.extend(items.iter().map(|item| (item, depth + 1))),
            Value::Object(fields) => values.extend(fields.values().map(|field| (field, depth + 1))),
            _ => {}
        }
    }
    true
}

/// The schema of a payload.
#[derive(Debug)]
pub(crate) struct Schema {
    /// The path of the official schema, which error messages name.
    pub(crate) name: &'static str,
    pub(crate) fields: &'static [Field],
}

/// A property of an object.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) rule: ValueType,
    pub(crate) presence: FieldPresence,
}

/// Whether a property is required.
#[derive(Debug)]
pub(crate) enum FieldPresence {
    Required,
    Optional,
    /// Added with this value if missing.
    Deviolation(fn() -> Value),
}

/// The type of a value.
#[derive(Debug)]
pub(crate) enum ValueType {
    Boolean,
    Number,
    /// Between the two bounds, inclusive.
    Integer(i64, i64),
    Object,
    /// A string of at most this many characters.
    Text(usize),
    /// A string of letters, digits, dashes and underscores, from 1 to this many.
    Name(usize),
    Slugid,
    Timestamp,
    /// A hash of this many hexadecimal digits.
    Hex(usize),
    OneOf(&'static [&'static str]),
    Array(&'static ValueType),
    Fields(&'static [Field]),
}

impl Field {
    pub(crate) const fn required(name: &'static str, rule: ValueType) -> Self {
        let presence = FieldPresence::Required;
        Self {
            name,
            rule,
            presence,
        }
    }

    pub(crate) const fn optional(name: &'static str, rule: ValueType) -> Self {
        let presence = FieldPresence::Optional;
        Self {
            name,
            rule,
            presence,
        }
    }

    pub(crate) const fn default(name: &'static str, rule: ValueType, value: fn() -> Value) -> Self {
        let presence = FieldPresence::Deviolation(value);
        Self {
            name,
            rule,
            presence,
        }
    }
}

impl Schema {
    /// Validates the payload and adds the defaults of missing properties.
    ///
    /// The depth is limited only if the state `is_stored`. A real queue accepts deeper payloads, and tests have to
    /// cover this.
    pub(crate) fn check(&self, payload: &mut Value, is_stored: bool) -> Result<(), RequestError> {
        let mut errors = Vec::new();
        if is_stored && !is_storable(payload) {
            errors.push(format!(
                "data must NOT have more than {MAX_DEPTH} nested levels"
            ));
            return self.fail_with(&errors);
        }
        match payload.as_object_mut() {
            Some(object) => check_object("data", self.fields, object, &mut errors),
            None => errors.push("data must be object".to_owned()),
        }
        self.fail_with(&errors)
    }

    /// Fails with a message that lists the errors, if there are any.
    pub(crate) fn fail_with(&self, errors: &[String]) -> Result<(), RequestError> {
        if errors.is_empty() {
            return Ok(());
        }
        let list: String = errors
            .iter()
            .map(|error| format!("\n  * {error}"))
            .collect();
        let message = format!(
            "\nSchema Validation Failed!\nRejecting Schema: /schemas/{}#\nErrors:{list}",
            self.name
        );
        Err(RequestError::new(ErrorCode::InputValidationError, message))
    }
}

fn check_object(
    path: &str,
    fields: &[Field],
    object: &mut Map<String, Value>,
    errors: &mut Vec<String>,
) {
    for field in fields {
        check_field(path, field, object, errors);
    }
    let known = |name: &str| fields.iter().any(|field| field.name == name);
    // The messages are those of ajv, which the real services use.
    for name in object.keys().filter(|name| !known(name)) {
        errors.push(format!(
            "{path} must NOT have additional properties: {name:?}"
        ));
    }
}

fn check_field(
    path: &str,
    field: &Field,
    object: &mut Map<String, Value>,
    errors: &mut Vec<String>,
) {
    match (object.get_mut(field.name), &field.presence) {
        (Some(value), _) => field
            .rule
            .check(&format!("{path}/{}", field.name), value, errors),
        (None, FieldPresence::Required) => {
            errors.push(format!(
                "{path} must have required property '{}'",
                field.name
            ));
        }
        (None, FieldPresence::Optional) => {}
        (None, FieldPresence::Deviolation(value)) => {
            object.insert(field.name.to_owned(), value());
        }
    }
}

impl ValueType {
    fn check(&self, path: &str, value: &mut Value, errors: &mut Vec<String>) {
        match (self, &mut *value) {
            (Self::Array(rule), Value::Array(items)) => {
                for (n, item) in items.iter_mut().enumerate() {
                    rule.check(&format!("{path}/{n}"), item, errors);
                }
            }
            (Self::Fields(fields), Value::Object(object)) => {
                check_object(path, fields, object, errors);
            }
            _ => errors.extend(
                self.violation(value)
                    .map(|violation| format!("{path} must {violation}")),
            ),
        }
    }

    /// Returns the violated constraint of a scalar value, to follow "must" in the message.
    fn violation(&self, value: &Value) -> Option<String> {
        let (fits, violation) = match self {
            Self::Boolean => (value.is_boolean(), "be boolean".to_owned()),
            Self::Number => (value.is_number(), "be number".to_owned()),
            Self::Integer(min, max) => return integer_violation(value, *min, *max),
            Self::Object | Self::Fields(_) => (value.is_object(), "be object".to_owned()),
            Self::Array(_) => (false, "be array".to_owned()),
            Self::OneOf(allowed) => (
                value.as_str().is_some_and(|text| allowed.contains(&text)),
                "be equal to one of the allowed values".to_owned(),
            ),
            _ => return self.text_violation(value.as_str()),
        };
        (!fits).then_some(violation)
    }

    fn text_violation(&self, text: Option<&str>) -> Option<String> {
        let Some(text) = text else {
            return Some("be string".to_owned());
        };
        let (fits, violation) = match self {
            Self::Text(max) => (
                text.chars().count() <= *max,
                format!("NOT have more than {max} characters"),
            ),
            Self::Name(max) => (
                is_identifier(text, *max),
                format!("be 1 to {max} letters, digits, dashes or underscores"),
            ),
            Self::Slugid => (slugid::is_slugid(text), "be a slugid".to_owned()),
            Self::Timestamp => (
                time::parse(text).is_some(),
                "match format \"date-time\"".to_owned(),
            ),
            Self::Hex(len) => (
                text.len() == *len && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'z')),
                format!("match pattern \"^[a-z0-9]{{{len}}}$\""),
            ),
            _ => return None,
        };
        (!fits).then_some(violation)
    }
}

fn integer_violation(value: &Value, min: i64, max: i64) -> Option<String> {
    // JSON Schema counts 1.0 as an integer.
    let integer = value.as_i64().or_else(|| {
        value
            .as_f64()
            .filter(|n| n.fract() == 0.0)
            .map(|n| n as i64)
    });
    match integer {
        None => Some("be integer".to_owned()),
        Some(n) if n < min => Some(format!("be >= {min}")),
        Some(n) if n > max => Some(format!("be <= {max}")),
        Some(_) => None,
    }
}

/// Returns whether a text is an identifier of at most `max` characters.
pub(crate) fn is_identifier(text: &str, max: usize) -> bool {
    (1..=max).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SCHEMA: Schema = Schema {
        name: "test.json",
        fields: &[
            Field::required("workerId", ValueType::Name(38)),
            Field::default("tasks", ValueType::Integer(1, 32), || json!(1)),
        ],
    };

    #[test]
    fn all_errors_are_reported() {
        let error = SCHEMA
            .check(&mut json!({"tasks": 33, "odd": 1}), true)
            .unwrap_err();
        for part in [
            "required property 'workerId'",
            "data/tasks must be <= 32",
            "\"odd\"",
        ] {
            assert!(error.message.contains(part), "{part} in {error}");
        }
    }

    #[test]
    fn missing_properties_get_defaults() {
        let mut payload = json!({"workerId": "w-1"});
        SCHEMA.check(&mut payload, true).unwrap();
        assert_eq!(payload["tasks"], 1);
    }
}
