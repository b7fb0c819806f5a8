//! The payload schema of a worker, merged from the schemas of its engine and plugins.

use std::collections::HashMap;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{ValidationError, Validator};
use runtime_core::{MalformedPayloadError, Section};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::unknown_keys::describe_unknown_keys;

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
        let schema = merged.into_schema();
        let validator =
            jsonschema::validator_for(&schema).map_err(|error| SchemaError::Invalid {
                message: error.to_string(),
            })?;
        Ok(Self { schema, validator })
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
    /// All violations, each with the path of the value.
    pub fn check(&self, payload: &Value) -> Result<(), MalformedPayloadError> {
        let errors = self.validator.iter_errors(payload);
        let problems = errors.flat_map(|error| self.describe(&error));
        MalformedPayloadError::merge(problems.map(MalformedPayloadError::new)).map_or(Ok(()), Err)
    }

    fn describe(&self, error: &ValidationError<'_>) -> Vec<String> {
        let path = error.instance_path().to_string().replace('/', ".");
        let path = format!("payload{path}");
        if let ValidationErrorKind::AdditionalProperties { unexpected } = error.kind() {
            return describe_unknown_keys(error, unexpected, &path, &self.schema);
        }
        let hint = self.expectation(&error.schema_path().to_string());
        vec![format!("`{path}`: {error}{hint}")]
    }

    /// Returns the description of a value for which no alternative matches. The validator's own message does not name the
    /// alternatives.
    fn expectation(&self, schema_path: &str) -> String {
        let schema = schema_path
            .strip_suffix("/anyOf")
            .and_then(|path| self.schema.pointer(path));
        match schema.and_then(|schema| schema["description"].as_str()) {
            Some(description) => format!("; expected: {description}"),
            None => String::new(),
        }
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

    fn into_schema(self) -> Value {
        // Without additional properties: a misspelled property fails the task instead of being ignored.
        json!({
            "type": "object",
            "properties": self.properties,
            "required": self.required,
            "additionalProperties": false,
        })
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

    /// The merged schema is invalid.
    #[error("the merged payload schema is invalid: {message}")]
    Invalid {
        /// The message of the validator.
        message: String,
    },
}
