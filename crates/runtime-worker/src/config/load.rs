//! From a file to a struct, with everything that is wrong named at once.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jsonschema::error::ValidationErrorKind;
use jsonschema::{ValidationError, Validator};
use runtime_core::BoxError;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::payload::schema_of;

/// How a configuration is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `.yml` and `.yaml`.
    Yaml,
    /// `.toml`.
    Toml,
    /// `.json`.
    Json,
}

impl Format {
    /// The format that the name of a file tells, if it tells one.
    #[must_use]
    pub fn of(file: &Path) -> Option<Self> {
        match file.extension()?.to_str()? {
            "yml" | "yaml" => Some(Self::Yaml),
            "toml" => Some(Self::Toml),
            "json" => Some(Self::Json),
            _ => None,
        }
    }

    fn parse(self, text: &str) -> Result<Value, BoxError> {
        Ok(match self {
            Self::Yaml => match serde_yaml_ng::from_str(text)? {
                // A file with nothing but comments.
                Value::Null => Value::Object(serde_json::Map::new()),
                value => value,
            },
            Self::Toml => toml::from_str(text).map_err(without_source)?,
            Self::Json => serde_json::from_str(text)?,
        })
    }
}

/// The full text of the error shows the line that is wrong, which may hold a secret.
fn without_source(error: toml::de::Error) -> BoxError {
    let place = error.span().map_or_else(String::new, |span| {
        format!(" at byte {} of the file", span.start)
    });
    format!("{}{place}", error.message()).into()
}

/// Reads a file.
///
/// # Errors
///
/// A [`ConfigError`] that names the file and everything that is wrong, each with the path of its key.
pub fn load<T: DeserializeOwned + JsonSchema>(file: &Path) -> Result<T, ConfigError> {
    let read = |source| ConfigError::Read {
        file: file.to_owned(),
        source,
    };
    let format = Format::of(file).ok_or_else(|| ConfigError::Format {
        file: file.to_owned(),
    })?;
    let text = fs::read_to_string(file).map_err(read)?;
    parse(&text, format).map_err(|error| ConfigError::In {
        file: file.to_owned(),
        source: Box::new(error),
    })
}

/// Reads a text.
///
/// # Errors
///
/// A [`ConfigError`] that names everything that is wrong, each with the path of its key.
pub fn parse<T: DeserializeOwned + JsonSchema>(
    text: &str,
    format: Format,
) -> Result<T, ConfigError> {
    let value = format
        .parse(text)
        .map_err(|source| ConfigError::Syntax { format, source })?;
    let schema = schema::<T>();
    let invalid = |problems| ConfigError::Invalid { problems };
    let validator = jsonschema::validator_for(&schema)
        .map_err(|error| invalid(vec![format!("the schema itself is wrong: {error}")]))?;
    let problems = problems(&validator, &schema, &value);
    if !problems.is_empty() {
        return Err(invalid(problems));
    }
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        invalid(vec![format!("`{path}`: {}", error.into_inner())])
    })
}

/// The JSON schema of a configuration, for editors and documentation.
#[must_use]
pub fn schema<T: JsonSchema>() -> Value {
    schema_of::<T>()
}

/// A configuration as YAML, as it is after defaults were filled in. A [`Secret`](super::Secret) shows
/// as stars.
#[must_use]
pub fn redacted(config: &impl Serialize) -> String {
    // Only maps whose keys are no text cannot be written, and a configuration that was read has none.
    serde_yaml_ng::to_string(config).unwrap_or_default()
}

fn problems(validator: &Validator, schema: &Value, value: &Value) -> Vec<String> {
    let errors = validator.iter_errors(value);
    errors.flat_map(|error| describe(&error, schema)).collect()
}

/// What is wrong, without the value, which may be a secret.
fn describe(error: &ValidationError<'_>, schema: &Value) -> Vec<String> {
    let path = place(error);
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            let place = error.schema_path().to_string();
            let known = known_keys(schema, &place);
            let unknown = unexpected.iter();
            unknown
                .map(|key| describe_unknown(&path, key, &known))
                .collect()
        }
        ValidationErrorKind::Required { property } => {
            let key = property.as_str().unwrap_or_default();
            vec![format!("`{}` is missing", join(&path, key))]
        }
        ValidationErrorKind::OneOfNotValid { context } => describe_forms(error, context, schema),
        ValidationErrorKind::AnyOf { context } => describe_kinds(error, context, schema),
        ValidationErrorKind::Pattern { .. } => {
            vec![format!(
                "`{path}`: {}",
                expectation(error, "/pattern", schema)
            )]
        }
        _ => vec![format!("`{path}`: {}", error.masked())],
    }
}

/// What is wrong with a value that has several forms: with the one form whose tag it has, or with the tag.
fn describe_forms(
    error: &ValidationError<'_>,
    forms: &[Vec<ValidationError<'static>>],
    schema: &Value,
) -> Vec<String> {
    let describe_form = |errors: &Vec<ValidationError<'static>>| -> Vec<String> {
        let problems = errors.iter();
        problems.flat_map(|error| describe(error, schema)).collect()
    };
    let mut tagged = forms
        .iter()
        .filter(|errors| !errors.iter().any(|error| expected_tag(error).is_some()));
    if let (Some(chosen), None) = (tagged.next(), tagged.next()) {
        return describe_form(chosen);
    }
    let tags: Vec<_> = forms.iter().flatten().filter_map(expected_tag).collect();
    if let [(place, _), ..] = &tags[..]
        && tags.len() == forms.len()
    {
        let tags: Vec<_> = tags.iter().map(|(_, tag)| *tag).collect();
        return vec![format!("`{place}` must be one of {}", tags.join(", "))];
    }
    // Such as a tag that is missing.
    let mut forms = forms.iter().map(describe_form);
    let mut of_all = forms.next().unwrap_or_default();
    forms.for_each(|form| of_all.retain(|problem| form.contains(problem)));
    match of_all.is_empty() {
        true => vec![format!("`{}`: {}", place(error), error.masked())],
        false => of_all,
    }
}

/// What is wrong with a value that may be of several kinds: with the one kind that it is, or that it is none.
fn describe_kinds(
    error: &ValidationError<'_>,
    kinds: &[Vec<ValidationError<'static>>],
    schema: &Value,
) -> Vec<String> {
    let place = error.instance_path();
    let is_other = |error: &ValidationError<'_>| {
        matches!(error.kind(), ValidationErrorKind::Type { .. }) && error.instance_path() == place
    };
    let mut kinds = kinds.iter().filter(|errors| !errors.iter().any(is_other));
    if let (Some(kind), None) = (kinds.next(), kinds.next()) {
        let problems = kind.iter();
        return problems.flat_map(|error| describe(error, schema)).collect();
    }
    vec![format!(
        "`{}`: {}",
        dotted(&place.to_string()),
        expectation(error, "/anyOf", schema)
    )]
}

/// What belongs in the place of a value, as the description there has it.
fn expectation(error: &ValidationError<'_>, keyword: &str, schema: &Value) -> String {
    let parent = error.schema_path().to_string();
    let parent = parent
        .strip_suffix(keyword)
        .and_then(|it| schema.pointer(it));
    let expected = parent.and_then(|parent| parent["description"].as_str());
    expected.map_or_else(
        || error.masked().to_string(),
        |it| format!("does not fit its description: {it}"),
    )
}

/// Where a tag of another form is, and what it would be.
fn expected_tag<'a>(error: &'a ValidationError<'_>) -> Option<(String, &'a str)> {
    match error.kind() {
        ValidationErrorKind::Constant { expected_value } => {
            Some((place(error), expected_value.as_str()?))
        }
        _ => None,
    }
}

/// The path of the value that is wrong.
fn place(error: &ValidationError<'_>) -> String {
    dotted(&error.instance_path().to_string())
}

fn describe_unknown(path: &str, key: &str, known: &[&str]) -> String {
    let full = join(path, key);
    let nearest = known
        .iter()
        .map(|known| {
            (
                strsim::damerau_levenshtein(&known.to_lowercase(), &key.to_lowercase()),
                known,
            )
        })
        .min();
    match nearest {
        // Half of the letters may be wrong; beyond that a guess only misleads.
        Some((distance, nearest)) if distance <= key.len().max(2) / 2 => {
            format!("`{full}` is no key; did you mean `{nearest}`?")
        }
        _ => format!("`{full}` is no key; known: {}", known.join(", ")),
    }
}

/// The keys that the schema allows where it was violated.
fn known_keys<'a>(schema: &'a Value, place: &str) -> Vec<&'a str> {
    let object = place.strip_suffix("/additionalProperties").unwrap_or(place);
    let properties = schema.pointer(object).map(|schema| &schema["properties"]);
    let properties = properties.and_then(Value::as_object).into_iter().flatten();
    properties.map(|(key, _)| key.as_str()).collect()
}

fn dotted(pointer: &str) -> String {
    pointer.trim_start_matches('/').replace('/', ".")
}

fn join(path: &str, key: &str) -> String {
    match path {
        "" => key.to_owned(),
        path => format!("{path}.{key}"),
    }
}

/// A configuration could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file could not be read.
    #[error("cannot read the configuration `{}`", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },

    /// The name of the file does not tell its format.
    #[error(
        "`{}` does not tell its format; name it .yml, .yaml, .toml or .json",
        file.display()
    )]
    Format {
        /// The file.
        file: PathBuf,
    },

    /// What is in the file is no configuration.
    #[error("in `{}`", file.display())]
    In {
        /// The file.
        file: PathBuf,
        /// What is wrong with the text.
        source: Box<ConfigError>,
    },

    /// The text is not of its format.
    #[error("the configuration is no {format:?}")]
    Syntax {
        /// The format.
        format: Format,
        /// What is wrong.
        source: BoxError,
    },

    /// The text says something that cannot be.
    #[error("the configuration is wrong: {}", problems.join("; "))]
    Invalid {
        /// Everything that is wrong, each with the path of its key.
        problems: Vec<String>,
    },
}
