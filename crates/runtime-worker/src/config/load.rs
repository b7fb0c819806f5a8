//! Reads configuration files and reports all of their problems at once.

use std::fmt;
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

/// The format of a configuration file.
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
    /// Returns the format for the extension of a file name.
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
                // An empty file, or one with comments only.
                Value::Null => Value::Object(serde_json::Map::new()),
                value => value,
            },
            Self::Toml => toml::from_str(text).map_err(without_source)?,
            Self::Json => serde_json::from_str(text)?,
        })
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Yaml => "YAML",
            Self::Toml => "TOML",
            Self::Json => "JSON",
        })
    }
}

/// Removes the source line from a TOML error, since it may contain a secret.
fn without_source(error: toml::de::Error) -> BoxError {
    let position = error.span().map_or_else(String::new, |span| {
        format!(" at byte {} of the file", span.start)
    });
    format!("{}{position}", error.message()).into()
}

/// Reads a configuration file. Its extension decides the format.
///
/// # Errors
///
/// A [`ConfigError`] with the file name and all problems, each with the path of its key.
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

/// Reads a configuration from a string.
///
/// # Errors
///
/// A [`ConfigError`] with all problems, each with the path of its key.
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
        .map_err(|error| invalid(vec![format!("invalid schema: {error}")]))?;
    let problems = problems(&validator, &schema, &value);
    if !problems.is_empty() {
        return Err(invalid(problems));
    }
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        invalid(vec![format!("`{path}`: {}", error.into_inner())])
    })
}

/// Returns the JSON schema of a configuration, for editors and documentation.
#[must_use]
pub fn schema<T: JsonSchema>() -> Value {
    schema_of::<T>()
}

/// Renders a configuration with its defaults as YAML. Each [`Secret`](super::Secret) is redacted.
#[must_use]
pub fn redacted(config: &impl Serialize) -> String {
    // Fails only for maps with keys other than strings, which a parsed configuration cannot contain.
    serde_yaml_ng::to_string(config).unwrap_or_default()
}

fn problems(validator: &Validator, schema: &Value, value: &Value) -> Vec<String> {
    let errors = validator.iter_errors(value);
    errors.flat_map(|error| describe(&error, schema)).collect()
}

/// Describes a violation without the value, which may be a secret.
fn describe(error: &ValidationError<'_>, schema: &Value) -> Vec<String> {
    let path = instance_path(error);
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            let schema_path = error.schema_path().to_string();
            let known = known_keys(schema, &schema_path);
            let unknown = unexpected.iter();
            unknown
                .map(|key| describe_unknown(&path, key, &known))
                .collect()
        }
        ValidationErrorKind::Required { property } => {
            let key = property.as_str().unwrap_or_default();
            vec![format!("missing key `{}`", join(&path, key))]
        }
        ValidationErrorKind::OneOfNotValid { context } => describe_variants(error, context, schema),
        ValidationErrorKind::AnyOf { context } => describe_alternatives(error, context, schema),
        ValidationErrorKind::Pattern { .. } => {
            vec![format!(
                "`{path}`: {}",
                expectation(error, "/pattern", schema)
            )]
        }
        _ => vec![format!("`{path}`: {}", error.masked())],
    }
}

/// Describes a violation of a tagged enum: the problems of the variant with the given tag, or of the tag itself.
fn describe_variants(
    error: &ValidationError<'_>,
    variants: &[Vec<ValidationError<'static>>],
    schema: &Value,
) -> Vec<String> {
    let describe_variant = |errors: &Vec<ValidationError<'static>>| -> Vec<String> {
        let problems = errors.iter();
        problems.flat_map(|error| describe(error, schema)).collect()
    };
    let mut tagged = variants
        .iter()
        .filter(|errors| !errors.iter().any(|error| expected_tag(error).is_some()));
    if let (Some(chosen), None) = (tagged.next(), tagged.next()) {
        return describe_variant(chosen);
    }
    let tags: Vec<_> = variants.iter().flatten().filter_map(expected_tag).collect();
    if let [(path, _), ..] = &tags[..]
        && tags.len() == variants.len()
    {
        let tags: Vec<_> = tags.iter().map(|(_, tag)| *tag).collect();
        return vec![format!("`{path}` must be one of {}", tags.join(", "))];
    }
    // Problems of all variants alike, such as a missing tag.
    let mut variants = variants.iter().map(describe_variant);
    let mut common = variants.next().unwrap_or_default();
    variants.for_each(|problems| common.retain(|problem| problems.contains(problem)));
    if common.is_empty() {
        vec![format!("`{}`: {}", instance_path(error), error.masked())]
    } else {
        common
    }
}

/// Describes a violation of an untagged enum: the problems of the one alternative with the value's JSON type, or the
/// description of the enum.
fn describe_alternatives(
    error: &ValidationError<'_>,
    alternatives: &[Vec<ValidationError<'static>>],
    schema: &Value,
) -> Vec<String> {
    let path = error.instance_path();
    let has_other_type = |error: &ValidationError<'_>| {
        matches!(error.kind(), ValidationErrorKind::Type { .. }) && error.instance_path() == path
    };
    let mut matching = alternatives
        .iter()
        .filter(|errors| !errors.iter().any(has_other_type));
    if let (Some(chosen), None) = (matching.next(), matching.next()) {
        let problems = chosen.iter();
        return problems.flat_map(|error| describe(error, schema)).collect();
    }
    vec![format!(
        "`{}`: {}",
        dotted(&path.to_string()),
        expectation(error, "/anyOf", schema)
    )]
}

/// Returns the description of the expected value.
fn expectation(error: &ValidationError<'_>, keyword: &str, schema: &Value) -> String {
    let parent = error.schema_path().to_string();
    let parent = parent
        .strip_suffix(keyword)
        .and_then(|it| schema.pointer(it));
    let expected = parent.and_then(|parent| parent["description"].as_str());
    expected.map_or_else(
        || error.masked().to_string(),
        |it| format!("does not match its description: {it}"),
    )
}

/// Returns the path and the expected tag of another variant, if the error is about that.
fn expected_tag<'a>(error: &'a ValidationError<'_>) -> Option<(String, &'a str)> {
    match error.kind() {
        ValidationErrorKind::Constant { expected_value } => {
            Some((instance_path(error), expected_value.as_str()?))
        }
        _ => None,
    }
}

/// Returns the path of the invalid value.
fn instance_path(error: &ValidationError<'_>) -> String {
    dotted(&error.instance_path().to_string())
}

fn describe_unknown(path: &str, key: &str, known: &[&str]) -> String {
    let full = join(path, key);
    match nearest(key, known) {
        Some(nearest) => format!("unknown key `{full}`, did you mean `{nearest}`?"),
        None => format!("unknown key `{full}`, expected one of {}", known.join(", ")),
    }
}

/// Returns the known key that the author of the file probably meant: one that contains the key, such as `killTimeout` for
/// `kill`, or one that differs by a typing error.
fn nearest<'a>(key: &str, known: &[&'a str]) -> Option<&'a str> {
    let key = key.to_lowercase();
    let distance = |known: &str| {
        let known = known.to_lowercase();
        if known.contains(&key) {
            0
        } else {
            strsim::damerau_levenshtein(&known, &key)
        }
    };
    let known = known.iter().map(|known| (distance(known), *known));
    let (distance, nearest) = known.min()?;
    // If more than half of the letters differ, a suggestion would mislead.
    (distance <= key.len().max(2) / 2).then_some(nearest)
}

/// Returns the keys that the violated part of the schema allows.
fn known_keys<'a>(schema: &'a Value, schema_path: &str) -> Vec<&'a str> {
    let object = schema_path
        .strip_suffix("/additionalProperties")
        .unwrap_or(schema_path);
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

/// The reason why a configuration could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file could not be read.
    #[error("cannot read the configuration `{}`", file.display())]
    Read {
        /// The configuration file.
        file: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },

    /// The extension of the file name is unknown.
    #[error(
        "unknown format of `{}`, expected .yml, .yaml, .toml or .json",
        file.display()
    )]
    Format {
        /// The configuration file.
        file: PathBuf,
    },

    /// The content of the file is invalid.
    #[error("in `{}`", file.display())]
    In {
        /// The configuration file.
        file: PathBuf,
        /// The problem of the content.
        source: Box<ConfigError>,
    },

    /// The text violates the syntax of its format.
    #[error("invalid {format}")]
    Syntax {
        /// The expected format.
        format: Format,
        /// The error of the parser.
        source: BoxError,
    },

    /// The configuration violates its schema.
    #[error("invalid configuration: {}", problems.join("; "))]
    Invalid {
        /// All problems, each with the path of its key.
        problems: Vec<String>,
    },
}
