//! The outer shape of the values that a JSON schema accepts, to detect ambiguous schemas.

use std::collections::BTreeSet;

use serde_json::Value;

/// An over-approximation of the values that a schema accepts.
///
/// Only type, required and allowed keys are compared. Whether two arbitrary schemas exclude each other is hard to
/// decide, and a difference in a nested pattern would not help the author of a payload. If a shape is too wide, two
/// fetchers may be called ambiguous wrongly, never the reverse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SchemaShape {
    /// Values of one type other than `object`.
    Scalar(String),
    /// Objects with all required keys and no keys that are not allowed.
    Object {
        required: BTreeSet<String>,
        /// `None` allows every key.
        allowed: Option<BTreeSet<String>>,
    },
    /// Any value: the schema uses keywords that are not analyzed here.
    Anything,
}

impl SchemaShape {
    /// Returns shapes, one of which every value that `schema` accepts has.
    pub(super) fn all_of(schema: &Value) -> Vec<Self> {
        let branches = ["anyOf", "oneOf"]
            .iter()
            .filter_map(|key| schema[*key].as_array())
            .flatten();
        let shapes: Vec<Self> = branches
            .flat_map(|branch| Self::with_branch(schema, branch))
            .collect();
        if shapes.is_empty() {
            vec![Self::outer(schema)]
        } else {
            shapes
        }
    }

    /// Returns whether a value may have both shapes.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Scalar(a), Self::Scalar(b)) => a == b,
            (Self::Scalar(_), Self::Object { .. }) | (Self::Object { .. }, Self::Scalar(_)) => {
                false
            }
            (Self::Anything, _) | (_, Self::Anything) => true,
            (Self::Object { required: a, .. }, Self::Object { required: b, .. }) => {
                other.allows(a) && self.allows(b)
            }
        }
    }

    /// Returns the number of keys that `value` shares with the shape.
    pub(super) fn similarity(&self, value: &Value) -> usize {
        match (self, value) {
            (
                Self::Object {
                    allowed: Some(allowed),
                    ..
                },
                Value::Object(object),
            ) => object.keys().filter(|key| allowed.contains(*key)).count(),
            (Self::Scalar(name), Value::String(_)) => usize::from(name == "string"),
            _ => 0,
        }
    }

    /// Returns the shapes of values that match both `schema` and one of its branches.
    fn with_branch(schema: &Value, branch: &Value) -> Vec<Self> {
        // A value has to match both. Only the intersection of two objects is computed, for the required keys.
        let outer = Self::outer(schema);
        let inner = Self::all_of(branch);
        match outer {
            Self::Anything => inner,
            Self::Object { required, allowed } => {
                let more = required_keys(branch);
                vec![Self::Object {
                    required: required.union(&more).cloned().collect(),
                    allowed,
                }]
            }
            scalar => vec![scalar],
        }
    }

    fn outer(schema: &Value) -> Self {
        match schema["type"].as_str() {
            Some("object") => Self::Object {
                required: required_keys(schema),
                allowed: allowed_keys(schema),
            },
            // Every integer also matches `number`.
            Some("integer") => Self::Scalar("number".to_owned()),
            Some(scalar) => Self::Scalar(scalar.to_owned()),
            None => Self::Anything,
        }
    }

    fn allows(&self, keys: &BTreeSet<String>) -> bool {
        match self {
            Self::Object {
                allowed: Some(allowed),
                ..
            } => keys.is_subset(allowed),
            _ => true,
        }
    }
}

fn required_keys(schema: &Value) -> BTreeSet<String> {
    let keys = schema["required"].as_array().into_iter().flatten();
    keys.filter_map(|key| key.as_str().map(str::to_owned))
        .collect()
}

fn allowed_keys(schema: &Value) -> Option<BTreeSet<String>> {
    // `patternProperties` allows keys that are not listed.
    let closed = schema["additionalProperties"] == Value::Bool(false)
        && schema.get("patternProperties").is_none();
    let names = || Some(schema["properties"].as_object()?.keys().cloned().collect());
    closed.then(|| names().unwrap_or_default())
}
