//! What a JSON schema says about the outer shape of a value, to tell kinds of references apart.

use std::collections::BTreeSet;

use serde_json::Value;

/// A set of values, never smaller than what a schema accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Values of one type that is not `object`.
    Scalar(String),
    /// Objects with all of the required keys, and others only of those allowed.
    Object {
        required: BTreeSet<String>,
        /// `None` if every key is allowed.
        allowed: Option<BTreeSet<String>>,
    },
    /// Whatever the schema says is not understood here.
    Anything,
}

impl Shape {
    /// The shapes of which a value that fits `schema` has one.
    pub(crate) fn all_of(schema: &Value) -> Vec<Self> {
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

    /// Reports whether a value may have both shapes.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
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

    /// How many keys `value` shares with the shape.
    pub(crate) fn likeness(&self, value: &Value) -> usize {
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

    /// A branch says more about what the schema around it says.
    fn with_branch(schema: &Value, branch: &Value) -> Vec<Self> {
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
            // A whole number is a number as well.
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
    let closed = schema["additionalProperties"] == Value::Bool(false)
        && schema.get("patternProperties").is_none();
    let names = || Some(schema["properties"].as_object()?.keys().cloned().collect());
    closed.then(|| names().unwrap_or_default())
}
