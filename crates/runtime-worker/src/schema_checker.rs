//! Describes violations of a schema for the author of a payload or configuration.

use jsonschema::error::ValidationErrorKind;
use jsonschema::{ValidationError, Validator};
use serde_json::Value;

use crate::problem::{Origins, Problem, escape, join};
use crate::unknown_keys::describe_unknown_keys;

/// The number of problems that are described. A file may contain any number, and an author reads few.
const MAX_DESCRIBED: usize = 50;

/// The length of a text, in characters, beyond which it is not quoted.
const MAX_QUOTED: usize = 64;

/// Finds the violations of a schema.
#[derive(Clone, Copy)]
pub(crate) struct SchemaChecker<'a> {
    pub(crate) schema: &'a Value,
    /// The name of the checked value in paths, such as `payload`. Empty for paths that start with the first key.
    pub(crate) root: &'static str,
    /// The sources of values that are not quoted.
    pub(crate) origins: &'a Origins,
}

impl SchemaChecker<'_> {
    /// Returns the violations, up to 50.
    pub(crate) fn find(self, validator: &Validator, value: &Value) -> Vec<Problem> {
        let errors = validator.iter_errors(value);
        let mut problems = errors.flat_map(|error| self.describe(&error));
        let mut described: Vec<_> = problems.by_ref().take(MAX_DESCRIBED).collect();
        if problems.next().is_some() {
            described.push(Problem {
                pointer: String::new(),
                text: "more problems follow".to_owned(),
            });
        }
        described
    }

    fn describe(self, error: &ValidationError<'_>) -> Vec<Problem> {
        let pointer = error.instance_path().to_string();
        let path = self.path(&pointer);
        match error.kind() {
            ValidationErrorKind::AdditionalProperties { unexpected } => {
                describe_unknown_keys(error, unexpected, &path, self.schema)
            }
            ValidationErrorKind::Required { property } => {
                let key = property.as_str().unwrap_or_default();
                let parent = self.parent(error);
                let property = parent.map(|parent| &parent["properties"][key]);
                let example = describe_example(property);
                vec![Problem {
                    pointer: format!("{pointer}/{}", escape(key)),
                    text: format!("missing key `{}`{example}", join(&path, key)),
                }]
            }
            ValidationErrorKind::OneOfNotValid { context } => {
                self.describe_variants(error, context)
            }
            ValidationErrorKind::AnyOf { context } => self.describe_alternatives(error, context),
            _ => vec![self.wrong_value(error, &self.expectation(error))],
        }
    }

    /// Describes a violation of a tagged enum: the problems of the variant with the given tag, or of the tag itself.
    fn describe_variants(
        self,
        error: &ValidationError<'_>,
        variants: &[Vec<ValidationError<'static>>],
    ) -> Vec<Problem> {
        let describe_variant = |errors: &Vec<ValidationError<'static>>| -> Vec<Problem> {
            errors.iter().flat_map(|it| self.describe(it)).collect()
        };
        // The validator reports the errors of all variants. The chosen one is the only one without an error of its tag.
        let mut tagged = variants
            .iter()
            .filter(|errors| !errors.iter().any(|error| expected_tag(error).is_some()));
        if let (Some(chosen), None) = (tagged.next(), tagged.next()) {
            return describe_variant(chosen);
        }
        let errors = variants.iter().flatten();
        let tags: Vec<_> = errors
            .filter_map(|error| Some((error, expected_tag(error)?)))
            .collect();
        if let [(first, _), ..] = &tags[..]
            && tags.len() == variants.len()
        {
            let tags: Vec<_> = tags.iter().map(|(_, tag)| *tag).collect();
            return vec![self.wrong_value(first, &format!("expected one of {}", tags.join(", ")))];
        }
        // Problems of all variants alike, such as a missing tag.
        let mut variants = variants.iter().map(describe_variant);
        let mut common = variants.next().unwrap_or_default();
        variants.for_each(|problems| common.retain(|problem| problems.contains(problem)));
        if common.is_empty() {
            vec![self.wrong_value(error, &self.expectation(error))]
        } else {
            common
        }
    }

    /// Describes a violation of an untagged enum: the problems of the one alternative with the value's JSON type, or the
    /// description of the enum.
    fn describe_alternatives(
        self,
        error: &ValidationError<'_>,
        alternatives: &[Vec<ValidationError<'static>>],
    ) -> Vec<Problem> {
        let path = error.instance_path();
        let has_other_type = |error: &ValidationError<'_>| {
            matches!(error.kind(), ValidationErrorKind::Type { .. })
                && error.instance_path() == path
        };
        let mut matching = alternatives
            .iter()
            .filter(|errors| !errors.iter().any(has_other_type));
        if let (Some(chosen), None) = (matching.next(), matching.next()) {
            return chosen.iter().flat_map(|it| self.describe(it)).collect();
        }
        vec![self.wrong_value(error, &self.expectation(error))]
    }

    /// Describes a wrong value with its path and an example.
    fn wrong_value(self, error: &ValidationError<'_>, expectation: &str) -> Problem {
        let pointer = error.instance_path().to_string();
        let parent = self.parent(error);
        let is_secret = parent.is_some_and(|parent| parent["writeOnly"] == true);
        let got = match &**error.instance() {
            _ if let Some(origin) = self.origins.get(&pointer) => {
                format!(", got the value of {origin}")
            }
            _ if is_secret => String::new(),
            Value::Array(_) => ", got a list".to_owned(),
            Value::Object(_) => ", got a map".to_owned(),
            // The text may be the secret that belongs into the map.
            Value::String(_) if parent.is_some_and(expects_container) => ", got a text".to_owned(),
            Value::String(text) if text.chars().count() > MAX_QUOTED => {
                ", got a long text".to_owned()
            }
            Value::String(text) => format!(", got `{text}`"),
            scalar => format!(", got `{scalar}`"),
        };
        let example = describe_example(parent);
        let text = format!("`{}`: {expectation}{got}{example}", self.path(&pointer));
        Problem { pointer, text }
    }

    /// Returns the expected form of a wrong value.
    fn expectation(self, error: &ValidationError<'_>) -> String {
        let parent = self.parent(error);
        let text_of = |key: &str| parent.and_then(|parent| parent[key].as_str());
        // The title of a type such as `Duration`. Derived schemas have none.
        if let Some(title) = text_of("title")
            && matches!(
                error.kind(),
                ValidationErrorKind::Type { .. } | ValidationErrorKind::Pattern { .. }
            )
        {
            return format!("expected a {}", title.to_lowercase());
        }
        let described = || text_of("description").map(|it| it.trim_end_matches('.'));
        match error.kind() {
            ValidationErrorKind::Type { .. } => {
                let types = parent.map(expected_types).unwrap_or_default();
                format!("expected {}", types.join(" or "))
            }
            ValidationErrorKind::Minimum { limit } => format!("expected at least {limit}"),
            ValidationErrorKind::Maximum { limit } => format!("expected at most {limit}"),
            ValidationErrorKind::Enum { options } => {
                let options = options.as_array().into_iter().flatten();
                let options: Vec<_> = options
                    .map(|it| it.as_str().map_or_else(|| it.to_string(), str::to_owned))
                    .collect();
                format!("expected one of {}", options.join(", "))
            }
            ValidationErrorKind::Custom { message, .. } => message.clone(),
            ValidationErrorKind::Pattern { .. } | ValidationErrorKind::AnyOf { .. }
                if let Some(description) = described() =>
            {
                format!("does not match its description: {description}")
            }
            _ => error.masked().to_string(),
        }
    }

    /// Returns the part of the schema with the violated keyword.
    fn parent(&self, error: &ValidationError<'_>) -> Option<&Value> {
        let keyword = error.schema_path().to_string();
        let (parent, _) = keyword.rsplit_once('/')?;
        self.schema.pointer(parent)
    }

    fn path(self, pointer: &str) -> String {
        let keys = pointer.replace('/', ".");
        match self.root {
            "" => keys.trim_start_matches('.').to_owned(),
            root => format!("{root}{keys}"),
        }
    }
}

/// Returns the expected tag of another variant, if the error is about that.
fn expected_tag<'a>(error: &'a ValidationError<'_>) -> Option<&'a str> {
    match error.kind() {
        ValidationErrorKind::Constant { expected_value } => expected_value.as_str(),
        _ => None,
    }
}

/// Returns whether a schema allows maps or lists.
fn expects_container(schema: &Value) -> bool {
    let expected = expected_types(schema);
    expected.iter().any(|it| *it == "a map" || *it == "a list") || schema.get("anyOf").is_some()
}

fn expected_types(schema: &Value) -> Vec<&'static str> {
    let types = match &schema["type"] {
        Value::Array(types) => types.as_slice(),
        single => std::slice::from_ref(single),
    };
    let name = |name: &Value| {
        Some(match name.as_str()? {
            "integer" => "an integer",
            "number" => "a number",
            "string" => "a text",
            "boolean" => "true or false",
            "array" => "a list",
            "object" => "a map",
            _ => return None,
        })
    };
    types.iter().filter_map(name).collect()
}

/// Returns `; for example ...` if the schema has a default or an example.
fn describe_example(schema: Option<&Value>) -> String {
    let example = schema.and_then(find_example);
    let example = example.map(|it| it.as_str().map_or_else(|| it.to_string(), str::to_owned));
    example.map_or_else(String::new, |it| format!("; for example `{it}`"))
}

fn find_example(schema: &Value) -> Option<&Value> {
    let is_short = |it: &&Value| it.is_string() || it.is_number() || it.is_boolean();
    let examples = schema["examples"].as_array().into_iter().flatten();
    // The default first: it fits the key, while examples are those of its type.
    let mut examples = schema.get("default").into_iter().chain(examples);
    examples.find(is_short).or_else(|| {
        let alternatives = schema["anyOf"].as_array()?;
        alternatives.iter().find_map(find_example)
    })
}
