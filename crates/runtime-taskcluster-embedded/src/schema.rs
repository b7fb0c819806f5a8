//! A small checker for payloads: every error at once, in the words of the real services.

use serde_json::{Map, Value};

use super::error::{ErrorCode, RequestError};
use super::{slug, time};

/// What a payload must look like.
#[derive(Debug)]
pub(super) struct Schema {
    /// The name of the official schema, for error messages.
    pub(super) name: &'static str,
    pub(super) fields: &'static [Field],
}

/// One property of an object.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) rule: Rule,
    pub(super) presence: Presence,
}

/// Whether a property must be there.
#[derive(Debug)]
pub(super) enum Presence {
    Required,
    Optional,
    /// Filled in where it is missing.
    Default(fn() -> Value),
}

/// What the value of a property must be.
#[derive(Debug)]
pub(super) enum Rule {
    Flag,
    Number,
    Integer(i64, i64),
    Object,
    /// At most this many characters.
    Text(usize),
    /// An identifier of 1 to so many letters, digits, dashes and underscores.
    Name(usize),
    Slug,
    Instant,
    Hex(usize),
    OneOf(&'static [&'static str]),
    List(&'static Rule),
    Fields(&'static [Field]),
}

impl Field {
    pub(super) const fn required(name: &'static str, rule: Rule) -> Self {
        let presence = Presence::Required;
        Self {
            name,
            rule,
            presence,
        }
    }

    pub(super) const fn optional(name: &'static str, rule: Rule) -> Self {
        let presence = Presence::Optional;
        Self {
            name,
            rule,
            presence,
        }
    }

    pub(super) const fn default(name: &'static str, rule: Rule, value: fn() -> Value) -> Self {
        let presence = Presence::Default(value);
        Self {
            name,
            rule,
            presence,
        }
    }
}

impl Schema {
    /// Fills in defaults and checks the payload; all errors come in one refusal.
    pub(super) fn check(&self, payload: &mut Value) -> Result<(), RequestError> {
        let mut errors = Vec::new();
        match payload.as_object_mut() {
            Some(object) => check_object("data", self.fields, object, &mut errors),
            None => errors.push("data must be object".to_owned()),
        }
        self.refuse(&errors)
    }

    /// The refusal that lists the errors, if there are any.
    pub(super) fn refuse(&self, errors: &[String]) -> Result<(), RequestError> {
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
        (None, Presence::Required) => {
            errors.push(format!(
                "{path} must have required property '{}'",
                field.name
            ));
        }
        (None, Presence::Optional) => {}
        (None, Presence::Default(value)) => {
            object.insert(field.name.to_owned(), value());
        }
    }
}

impl Rule {
    fn check(&self, path: &str, value: &mut Value, errors: &mut Vec<String>) {
        match (self, &mut *value) {
            (Self::List(rule), Value::Array(items)) => {
                for (n, item) in items.iter_mut().enumerate() {
                    rule.check(&format!("{path}/{n}"), item, errors);
                }
            }
            (Self::Fields(fields), Value::Object(object)) => {
                check_object(path, fields, object, errors);
            }
            _ => errors.extend(
                self.fault(value)
                    .map(|fault| format!("{path} must {fault}")),
            ),
        }
    }

    /// What a single value must be and is not.
    fn fault(&self, value: &Value) -> Option<String> {
        let (fits, fault) = match self {
            Self::Flag => (value.is_boolean(), "be boolean".to_owned()),
            Self::Number => (value.is_number(), "be number".to_owned()),
            Self::Integer(min, max) => return integer_fault(value, *min, *max),
            Self::Object | Self::Fields(_) => (value.is_object(), "be object".to_owned()),
            Self::List(_) => (false, "be array".to_owned()),
            Self::OneOf(allowed) => (
                value.as_str().is_some_and(|text| allowed.contains(&text)),
                "be equal to one of the allowed values".to_owned(),
            ),
            _ => return self.text_fault(value.as_str()),
        };
        (!fits).then_some(fault)
    }

    fn text_fault(&self, text: Option<&str>) -> Option<String> {
        let Some(text) = text else {
            return Some("be string".to_owned());
        };
        let (fits, fault) = match self {
            Self::Text(max) => (
                text.chars().count() <= *max,
                format!("NOT have more than {max} characters"),
            ),
            Self::Name(max) => (
                (1..=*max).contains(&text.len()) && text.bytes().all(is_name_byte),
                format!("be 1 to {max} letters, digits, dashes or underscores"),
            ),
            Self::Slug => (slug::is_slug(text), "be a slugid".to_owned()),
            Self::Instant => (
                time::parse(text).is_some(),
                "match format \"date-time\"".to_owned(),
            ),
            Self::Hex(len) => (
                text.len() == *len && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'z')),
                format!("match pattern \"^[a-z0-9]{{{len}}}$\""),
            ),
            _ => return None,
        };
        (!fits).then_some(fault)
    }
}

fn integer_fault(value: &Value, min: i64, max: i64) -> Option<String> {
    let whole = value.as_i64().or_else(|| {
        value
            .as_f64()
            .filter(|n| n.fract() == 0.0)
            .map(|n| n as i64)
    });
    match whole {
        None => Some("be integer".to_owned()),
        Some(n) if n < min => Some(format!("be >= {min}")),
        Some(n) if n > max => Some(format!("be <= {max}")),
        Some(_) => None,
    }
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SCHEMA: Schema = Schema {
        name: "test.json",
        fields: &[
            Field::required("workerId", Rule::Name(38)),
            Field::default("tasks", Rule::Integer(1, 32), || json!(1)),
        ],
    };

    #[test]
    fn every_error_is_told_at_once() {
        let error = SCHEMA
            .check(&mut json!({"tasks": 33, "odd": 1}))
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
    fn defaults_are_filled_in() {
        let mut payload = json!({"workerId": "w-1"});
        SCHEMA.check(&mut payload).unwrap();
        assert_eq!(payload["tasks"], 1);
    }
}
