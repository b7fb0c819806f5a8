//! The payload schema of a worker, put together from its engine and plugins.

use jsonschema::Validator;
use runtime_core::{MalformedPayloadError, Section};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

/// The schema of a payload part, derived from the type that reads it, without references between parts of it.
#[must_use]
pub fn schema_of<T: JsonSchema>() -> Value {
    let settings =
        SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    settings
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value()
}

/// Checks payloads against the parts of a schema that engine and plugins bring.
#[derive(Debug)]
pub struct PayloadSchema {
    schema: Value,
    validator: Validator,
}

impl PayloadSchema {
    /// Merges object schemas: each property has one owner, and what no part knows is refused.
    ///
    /// Parts must not use `$ref`; [`schema_of`] makes such schemas.
    ///
    /// # Errors
    ///
    /// A [`SchemaError`] if two parts claim a property, or a part is no valid object schema.
    pub fn merge<'a>(
        parts: impl IntoIterator<Item = (&'a str, Value)>,
    ) -> Result<Self, SchemaError> {
        let mut merged = Merged::default();
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

    /// The merged schema, for documentation.
    #[must_use]
    pub fn as_json(&self) -> &Value {
        &self.schema
    }

    /// A section with the schema, for the documentation of a worker.
    #[must_use]
    pub fn documentation(&self) -> Section {
        let schema = format!("{:#}", self.schema);
        Section {
            title: "Payload".to_owned(),
            content: format!("A payload must fit this JSON schema.\n\n```json\n{schema}\n```"),
        }
    }

    /// Checks a payload.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it, each with the path of the place.
    pub fn check(&self, payload: &Value) -> Result<(), MalformedPayloadError> {
        let errors = self.validator.iter_errors(payload).map(|error| {
            let path = error.instance_path().to_string().replace('/', ".");
            let hint = self.hint(&error.schema_path().to_string());
            MalformedPayloadError::new(format!("`payload{path}`: {error}{hint}"))
        });
        MalformedPayloadError::merge(errors).map_or(Ok(()), Err)
    }
}

impl PayloadSchema {
    /// That no alternative fits helps nobody without what is expected in their place.
    fn hint(&self, schema_path: &str) -> String {
        let place = schema_path
            .strip_suffix("/anyOf")
            .and_then(|place| self.schema.pointer(place));
        match place.and_then(|schema| schema["description"].as_str()) {
            Some(description) => format!("; expected: {description}"),
            None => String::new(),
        }
    }
}

#[derive(Default)]
struct Merged {
    owners: Vec<(String, String)>,
    properties: Map<String, Value>,
    required: Vec<Value>,
}

impl Merged {
    fn add(&mut self, owner: &str, mut part: Value) -> Result<(), SchemaError> {
        let Some(properties) = part.get_mut("properties").and_then(Value::as_object_mut) else {
            return Err(SchemaError::NotAnObject {
                owner: owner.to_owned(),
            });
        };
        for (name, schema) in std::mem::take(properties) {
            if let Some((_, first)) = self.owners.iter().find(|(taken, _)| *taken == name) {
                return Err(SchemaError::Conflict {
                    property: name,
                    first: first.clone(),
                    second: owner.to_owned(),
                });
            }
            self.owners.push((name.clone(), owner.to_owned()));
            self.properties.insert(name, schema);
        }
        if let Some(Value::Array(required)) = part.get_mut("required") {
            self.required.append(required);
        }
        Ok(())
    }

    fn into_schema(self) -> Value {
        json!({
            "type": "object",
            "properties": self.properties,
            "required": self.required,
            "additionalProperties": false,
        })
    }
}

/// The payload schemas of engine and plugins do not fit together.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// Two parts claim a property.
    #[error(
        "`{first}` and `{second}` both read `payload.{property}`; a worker can have only one of them"
    )]
    Conflict {
        /// The property.
        property: String,
        /// Who claimed it first.
        first: String,
        /// Who claimed it too.
        second: String,
    },

    /// A part has no `properties`.
    #[error("the payload schema of `{owner}` is no object schema with `properties`")]
    NotAnObject {
        /// Whose schema it is.
        owner: String,
    },

    /// The whole is no valid schema.
    #[error("the merged payload schema is invalid: {message}")]
    Invalid {
        /// What the validator says.
        message: String,
    },
}
