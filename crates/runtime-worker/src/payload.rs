//! The payload schema of a worker, merged from the schemas of its engine and plugins.

use std::collections::HashMap;

use jsonschema::Validator;
use runtime_core::{MalformedPayloadError, Section};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::problem::Origins;
use crate::schema_problems::SchemaProblems;

/// Derives the JSON schema of a payload part from the type that reads it. The schema contains no `$ref`.
#[must_use]
pub fn schema_of<T: JsonSchema>() -> Value {
    // Inlined: `merge` moves the properties to another document, where references would be invalid.
    let settings =
        SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    settings
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value()
}

/// Checks payloads against the merged schemas of engine and plugins.
#[derive(Debug)]
pub struct PayloadSchema {
    schema: Value,
    validator: Validator,
}

impl PayloadSchema {
    /// Merges object schemas. Each property has one owner, and other properties are rejected.
    ///
    /// The parts must not use `$ref`; [`schema_of`] creates such schemas.
    ///
    /// # Errors
    ///
    /// A [`SchemaError`] if two parts define the same property, or a part is not a valid object schema.
    pub fn merge<'a>(
        parts: impl IntoIterator<Item = (&'a str, Value)>,
    ) -> Result<Self, SchemaError> {
        let mut merged = SchemaMerger::default();
        for (owner, part) in parts {
            merged.add(owner, part)?;
        }
        let schema = merged.to_schema();
        match jsonschema::validator_for(&schema) {
            Ok(validator) => Ok(Self { schema, validator }),
            Err(error) => Err(SchemaError::Invalid {
                owner: merged.owner_of(&schema),
                message: error.to_string(),
            }),
        }
    }

    /// Returns the merged schema.
    #[must_use]
    pub fn as_json(&self) -> &Value {
        &self.schema
    }

    /// Returns a section with the schema, for the documentation of a worker.
    #[must_use]
    pub fn documentation(&self) -> Section {
        let schema = format!("{:#}", self.schema);
        Section {
            title: "Payload".to_owned(),
            content: format!("A payload must match this JSON schema.\n\n```json\n{schema}\n```"),
        }
    }

    /// Checks a payload.
    ///
    /// # Errors
    ///
    /// All violations, up to 50, each with the path and the value.
    pub fn check(&self, payload: &Value) -> Result<(), MalformedPayloadError> {
        let schema = SchemaProblems {
            schema: &self.schema,
            root: "payload",
            origins: &Origins::new(),
        };
        let problems = schema.find(&self.validator, payload).into_iter();
        let problems = problems.map(|problem| MalformedPayloadError::new(problem.text));
        MalformedPayloadError::merge(problems).map_or(Ok(()), Err)
    }
}

#[derive(Default)]
struct SchemaMerger {
    /// The owner of each property.
    owners: HashMap<String, String>,
    properties: Map<String, Value>,
    required: Vec<Value>,
}

impl SchemaMerger {
    fn add(&mut self, owner: &str, mut part: Value) -> Result<(), SchemaError> {
        let Some(properties) = part.get_mut("properties").and_then(Value::as_object_mut) else {
            return Err(SchemaError::NotAnObject {
                owner: owner.to_owned(),
            });
        };
        for (name, schema) in std::mem::take(properties) {
            if let Some(reference) = find_reference(&schema) {
                return Err(SchemaError::Reference {
                    owner: owner.to_owned(),
                    property: name,
                    reference: reference.to_owned(),
                });
            }
            if let Some(first) = self.owners.get(&name) {
                return Err(SchemaError::Conflict {
                    property: name,
                    first: first.clone(),
                    second: owner.to_owned(),
                });
            }
            self.owners.insert(name.clone(), owner.to_owned());
            self.properties.insert(name, schema);
        }
        if let Some(Value::Array(required)) = part.get_mut("required") {
            self.required.append(required);
        }
        Ok(())
    }

    fn to_schema(&self) -> Value {
        // Without additional properties: a misspelled property fails the task instead of being ignored.
        json!({
            "type": "object",
            "properties": self.properties,
            "required": self.required,
            "additionalProperties": false,
        })
    }

    /// Returns the part whose property makes a schema invalid.
    fn owner_of(&self, schema: &Value) -> String {
        let is_invalid = |name: &&String| {
            jsonschema::validator_for(&schema["properties"][name.as_str()]).is_err()
        };
        let culprit = self.properties.keys().find(is_invalid);
        let owner = culprit.and_then(|name| self.owners.get(name));
        owner.map_or("engine", String::as_str).to_owned()
    }
}

/// Returns a `$ref` in a schema. Its target would be in another place of the merged schema.
fn find_reference(schema: &Value) -> Option<&str> {
    match schema {
        // A property of this name has an object as its value, its reference a string.
        Value::Object(members) => match members.get("$ref") {
            Some(Value::String(reference)) => Some(reference),
            _ => members.values().find_map(find_reference),
        },
        Value::Array(items) => items.iter().find_map(find_reference),
        _ => None,
    }
}

/// The reason why payload schemas could not be merged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// Two parts define the same property.
    #[error(
        "`{first}` and `{second}` both read `payload.{property}`; a worker can have only one of them"
    )]
    Conflict {
        /// The name of the property.
        property: String,
        /// The part that defined it first.
        first: String,
        /// The part that defined it again.
        second: String,
    },

    /// A part has no `properties`.
    #[error("the payload schema of `{owner}` is not an object schema with `properties`")]
    NotAnObject {
        /// The engine or plugin with the schema.
        owner: String,
    },

    /// A part uses `$ref`.
    #[error(
        "the payload schema of `{owner}` uses `$ref` in `{property}`, which is not supported: `{reference}`; \
         insert the referenced schema there, as `payload::schema_of` does"
    )]
    Reference {
        /// The engine or plugin with the schema.
        owner: String,
        /// The property of the payload.
        property: String,
        /// The reference.
        reference: String,
    },

    /// The schema of a part is invalid.
    #[error("the payload schema of `{owner}` is invalid: {message}")]
    Invalid {
        /// The engine or plugin with the schema.
        owner: String,
        /// The message of the validator.
        message: String,
    },
}
