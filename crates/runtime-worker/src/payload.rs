//! The payload schema of a worker, merged from the schemas of its engine and plugins.

use std::collections::BTreeMap;

use jsonschema::Validator;
use runtime_core::{MalformedPayloadError, Section};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::problem::Origins;
use crate::schema_checker::SchemaChecker;

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
    /// Several parts may add properties to one object, such as `features`, if the schema of each sets
    /// `additionalProperties` to `false` for it. The type that reads such an object has to ignore the properties of
    /// others: it has the attribute `#[schemars(deny_unknown_fields)]` instead of that of serde.
    ///
    /// The parts must not use `$ref`; [`schema_of`] creates such schemas.
    ///
    /// ```
    /// use runtime_worker::payload::{PayloadSchema, schema_of};
    /// use schemars::JsonSchema;
    /// use serde::Deserialize;
    /// use serde_json::json;
    ///
    /// #[derive(Deserialize, JsonSchema)]
    /// struct Payload {
    ///     features: Features,
    /// }
    ///
    /// #[derive(Deserialize, JsonSchema)]
    /// #[schemars(deny_unknown_fields)]
    /// struct Features {
    ///     greeting: bool,
    /// }
    ///
    /// let farewell = json!({ "properties": { "features": {
    ///     "type": "object",
    ///     "properties": { "farewell": { "type": "boolean" } },
    ///     "additionalProperties": false,
    /// } } });
    /// let parts = [("greeter", schema_of::<Payload>()), ("other", farewell)];
    /// let schema = PayloadSchema::merge(parts)?;
    /// let payload = json!({ "features": { "greeting": true, "farewell": true } });
    /// assert!(schema.check(&payload).is_ok());
    /// assert!(serde_json::from_value::<Payload>(payload)?.features.greeting);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
        let schema = SchemaChecker {
            schema: &self.schema,
            root: "payload",
            origins: &Origins::new(),
        };
        let problems = schema.find(&self.validator, payload).into_iter();
        let problems = problems.map(|problem| MalformedPayloadError::new(problem.text));
        MalformedPayloadError::merge(problems).map_or(Ok(()), Err)
    }
}

/// The names of the keys that lead to a property.
type PropertyPath = Vec<String>;

#[derive(Default)]
struct SchemaMerger {
    /// The owner of each property, and of those inside of joined objects. Others belong to the owner of their object.
    owners: BTreeMap<PropertyPath, String>,
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
        for (name, schema) in &*properties {
            if let Some(reference) = find_reference(schema) {
                return Err(SchemaError::Reference {
                    owner: owner.to_owned(),
                    property: name.clone(),
                    reference: reference.to_owned(),
                });
            }
        }
        let properties = std::mem::take(properties);
        let owners = &mut self.owners;
        join_properties(&mut self.properties, properties, owner, owners, &[])?;
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
        let is_invalid = |path: &PropertyPath| {
            let mut keys = path.iter();
            let part = keys.try_fold(schema, |schema, key| schema["properties"].get(key));
            part.is_some_and(|part| jsonschema::validator_for(part).is_err())
        };
        let culprits = self.owners.iter().filter(|(path, _)| is_invalid(path));
        // The innermost, since an object is invalid if one of its properties is.
        let culprit = culprits.max_by_key(|(path, _)| path.len());
        culprit.map_or("engine", |(_, owner)| owner).to_owned()
    }
}

/// Adds the properties of a part to those of the object at `path`. Objects of both are joined.
fn join_properties(
    joined: &mut Map<String, Value>,
    properties: Map<String, Value>,
    owner: &str,
    owners: &mut BTreeMap<PropertyPath, String>,
    path: &[String],
) -> Result<(), SchemaError> {
    for (name, schema) in properties {
        let path = [path, std::slice::from_ref(&name)].concat();
        match joined.get_mut(&name) {
            None => {
                owners.insert(path, owner.to_owned());
                joined.insert(name, schema);
            }
            Some(first) if is_closed_object(first) && is_closed_object(&schema) => {
                join_object(first, schema, owner, owners, &path)?;
            }
            Some(_) => {
                let mut ancestors = (1..=path.len()).rev().map(|len| &path[..len]);
                let first = ancestors.find_map(|path| owners.get(path));
                return Err(SchemaError::Conflict {
                    property: path.join("."),
                    first: first.cloned().unwrap_or_default(),
                    second: owner.to_owned(),
                });
            }
        }
    }
    Ok(())
}

/// Adds the properties of an object to those of the object of another part, whose description remains.
fn join_object(
    first: &mut Value,
    mut second: Value,
    owner: &str,
    owners: &mut BTreeMap<PropertyPath, String>,
    path: &[String],
) -> Result<(), SchemaError> {
    let required = second["required"].take();
    if let (Some(first), Value::Object(properties)) = (
        first["properties"].as_object_mut(),
        second["properties"].take(),
    ) {
        join_properties(first, properties, owner, owners, path)?;
    }
    let Some(first) = first.as_object_mut() else {
        return Ok(());
    };
    // It shows the properties of one part only.
    first.remove("default");
    if let Value::Array(mut required) = required {
        match first.get_mut("required").and_then(Value::as_array_mut) {
            Some(first) => first.append(&mut required),
            None => {
                first.insert("required".to_owned(), required.into());
            }
        }
    }
    Ok(())
}

/// Returns whether a schema allows objects with its properties and nothing else, so that another part can add some.
fn is_closed_object(schema: &Value) -> bool {
    const KEYWORDS: [&str; 7] = [
        "type",
        "properties",
        "required",
        "additionalProperties",
        "title",
        "description",
        "default",
    ];
    let keywords = schema.as_object().into_iter().flatten();
    schema["type"] == "object"
        && schema["properties"].is_object()
        && schema["additionalProperties"] == false
        && keywords
            .into_iter()
            .all(|(key, _)| KEYWORDS.contains(&key.as_str()))
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
        /// The path of the property, such as `features.interactive`.
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
