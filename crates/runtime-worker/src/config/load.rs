//! Reads configuration files and reports all of their problems at once.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{JsonType, JsonTypeSet, Keyword, ValidationError, Validator};
use runtime_core::BoxError;
use runtime_core::util::{ByteSize, DurationText, MINIMUM_KEYWORD};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::deserialize::deserialize;
use super::external_values::ResolvedConfig;
use super::format::Format;
use crate::payload::schema_of;
use crate::problem::Problem;
use crate::schema_checker::SchemaChecker;

/// The maximum size of a configuration in bytes.
pub(super) const MAX_SIZE: usize = 1 << 20;

/// The maximum number of nested lists and maps.
const MAX_DEPTH: usize = 64;

/// Reads the text of a file, up to the maximum size and one byte more.
pub(super) fn read_text(file: &Path) -> Result<(String, Format), ConfigError> {
    let read = |source| ConfigError::Read {
        file: file.to_owned(),
        source,
    };
    let format = Format::of(file).ok_or_else(|| ConfigError::Format {
        file: file.to_owned(),
    })?;
    let mut bytes = Vec::new();
    // One byte more than is accepted, so that a file that is too large can be recognized.
    let mut limited = File::open(file).map_err(read)?.take(MAX_SIZE as u64 + 1);
    limited.read_to_end(&mut bytes).map_err(read)?;
    // A character that the limit cuts makes no difference, since the text is too large.
    let text = String::from_utf8_lossy(&bytes);
    if bytes.len() <= MAX_SIZE && matches!(text, Cow::Owned(_)) {
        return Err(read(io::Error::new(
            io::ErrorKind::InvalidData,
            "it is not UTF-8",
        )));
    }
    Ok((text.into_owned(), format))
}

/// The keys whose references have to be valid.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum CheckedKeys {
    All,
    /// Those in the schema.
    Known,
}

/// Validates and deserializes a configuration.
pub(super) fn deserialize_valid<T: DeserializeOwned + JsonSchema>(
    resolved: ResolvedConfig,
    keys: CheckedKeys,
) -> Result<T, Vec<Problem>> {
    let ResolvedConfig {
        mut value,
        origins,
        texts,
        mut problems,
        ..
    } = resolved;
    let schema = schema::<T>();
    let validator = validator(&schema).map_err(|error| {
        vec![Problem {
            pointer: String::new(),
            text: format!("invalid schema: {error}"),
        }]
    })?;
    convert_texts(&validator, &mut value, &texts);
    let schema = SchemaChecker {
        schema: &schema,
        root: "",
        origins: &origins,
    };
    let mut found = schema.find(&validator, &value);
    let is_at = |pointer: &str, others: &[Problem]| others.iter().any(|it| it.pointer == pointer);
    // A reference without a value stays in its place, where the schema rejects it if it knows the key.
    if keys == CheckedKeys::Known {
        problems.retain(|it| is_at(&it.pointer, &found));
    }
    found.retain(|it| !is_at(&it.pointer, &problems));
    found.extend(problems);
    deserialize(value, found, &origins)
}

/// Parses each of the texts at these pointers that violates the schema and is a number or boolean that the schema expects.
fn convert_texts(validator: &Validator, value: &mut Value, pointers: &[String]) {
    if pointers.is_empty() {
        return;
    }
    let mut converted = Vec::new();
    for error in validator.iter_errors(value) {
        find_scalars(&error, pointers, &mut converted);
    }
    for (pointer, scalar) in converted {
        if let Some(place) = value.pointer_mut(&pointer) {
            *place = scalar;
        }
    }
}

fn find_scalars(
    error: &ValidationError<'_>,
    pointers: &[String],
    found: &mut Vec<(String, Value)>,
) {
    match (error.kind(), &**error.instance()) {
        (ValidationErrorKind::Type { kind }, Value::String(text)) => {
            let expected = match kind {
                TypeKind::Single(single) => JsonTypeSet::from(*single),
                TypeKind::Multiple(types) => *types,
            };
            let is_expected = |scalar: &Value| match scalar {
                Value::Bool(_) => expected.contains(JsonType::Boolean),
                Value::Number(number) => {
                    expected.contains(JsonType::Number)
                        || (expected.contains(JsonType::Integer) && !number.is_f64())
                }
                _ => false,
            };
            let pointer = error.instance_path().to_string();
            if pointers.contains(&pointer)
                && let Ok(scalar) = text.parse()
                && is_expected(&scalar)
            {
                found.push((pointer, scalar));
            }
        }
        (
            ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context },
            _,
        ) => {
            let errors = context.iter().flatten();
            errors.for_each(|error| find_scalars(error, pointers, found));
        }
        _ => {}
    }
}

/// Builds a validator that knows the minimums of durations and sizes.
fn validator(schema: &Value) -> Result<Validator, ValidationError<'static>> {
    jsonschema::options()
        .with_keyword(MINIMUM_KEYWORD, |_, minimum, _| {
            Ok(Box::new(TextMinimum(
                minimum.as_str().unwrap_or_default().to_owned(),
            )))
        })
        .build(schema)
        .map_err(ValidationError::to_owned)
}

/// The least duration or size that a text may contain.
struct TextMinimum(String);

impl<'i> Keyword<'i> for TextMinimum {
    fn validate(&self, value: &'i Value) -> Result<(), ValidationError<'i>> {
        if Keyword::<'i>::is_valid(self, value) {
            return Ok(());
        }
        let message = format!("expected at least {}", self.0);
        Err(ValidationError::custom(message))
    }

    /// Accepts all values that are not a duration or size: other keywords reject them.
    fn is_valid(&self, value: &'i Value) -> bool {
        let text = value.as_str().unwrap_or_default();
        is_at_least::<DurationText>(text, &self.0) && is_at_least::<ByteSize>(text, &self.0)
    }
}

fn is_at_least<T: FromStr + PartialOrd>(text: &str, minimum: &str) -> bool {
    match (text.parse::<T>(), minimum.parse::<T>()) {
        (Ok(value), Ok(minimum)) => value >= minimum,
        _ => true,
    }
}

/// Rejects texts that would take a parser minutes, or exhaust its stack.
pub(super) fn check_size(text: &str) -> Result<(), ConfigError> {
    if text.len() > MAX_SIZE {
        return Err(ConfigError::TooLarge);
    }
    // Counts brackets in strings and comments too: a parser that would know better is what this protects.
    let mut depth = 0_usize;
    for byte in text.bytes() {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Err(ConfigError::TooDeep);
        }
    }
    Ok(())
}

/// Returns the JSON schema of a configuration, for editors and documentation.
#[must_use]
pub fn schema<T: JsonSchema>() -> Value {
    schema_of::<T>()
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

    /// A layer of the configuration is invalid.
    #[error("in {layer}")]
    Layer {
        /// The description of the layer.
        layer: String,
        /// The problem of the layer.
        source: Box<ConfigError>,
    },

    /// The text is larger than 1 MiB.
    #[error("the text is larger than {} MiB; remove unneeded parts", MAX_SIZE >> 20)]
    TooLarge,

    /// The text nests lists and maps too deeply.
    #[error(
        "the text has more than {MAX_DEPTH} nested lists and maps; close or remove some brackets"
    )]
    TooDeep,

    /// The text violates the syntax of its format.
    #[error("invalid {format}")]
    Syntax {
        /// The expected format.
        format: Format,
        /// The error of the parser.
        source: BoxError,
    },

    /// The configuration violates its schema.
    #[error("invalid configuration:\n  {}", problems.join("\n  "))]
    Invalid {
        /// All problems in the order of their lines, each with its line if it has one, and the path of its key.
        problems: Vec<String>,
    },
}

impl ConfigError {
    pub(super) fn in_file(self, file: &Path) -> Self {
        Self::In {
            file: file.to_owned(),
            source: Box::new(self),
        }
    }
}
