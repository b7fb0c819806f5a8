//! Reads configuration files and reports all of their problems at once.

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use runtime_core::BoxError;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::problems::find_problems;
use crate::payload::schema_of;

/// The maximum size of a configuration in bytes.
const MAX_SIZE: usize = 1 << 20;

/// The maximum number of nested lists and maps.
const MAX_DEPTH: usize = 64;

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
/// A [`ConfigError`] with the file name and all problems, each with the path of its key. At most 50 are described, and at
/// most ten unknown keys of a map. Files of more than 1 MiB, or with more than 64 nested lists and maps, are rejected.
pub fn load<T: DeserializeOwned + JsonSchema>(file: &Path) -> Result<T, ConfigError> {
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
    parse(&text, format).map_err(|error| ConfigError::In {
        file: file.to_owned(),
        source: Box::new(error),
    })
}

/// Reads a configuration from a string.
///
/// # Errors
///
/// A [`ConfigError`] with all problems, each with the path of its key. The limits of [`load`] apply.
pub fn parse<T: DeserializeOwned + JsonSchema>(
    text: &str,
    format: Format,
) -> Result<T, ConfigError> {
    check_size(text)?;
    let value = format
        .parse(text)
        .map_err(|source| ConfigError::Syntax { format, source })?;
    let schema = schema::<T>();
    let invalid = |problems| ConfigError::Invalid { problems };
    let validator = jsonschema::validator_for(&schema)
        .map_err(|error| invalid(vec![format!("invalid schema: {error}")]))?;
    let problems = find_problems(&validator, &schema, &value);
    if !problems.is_empty() {
        return Err(invalid(problems));
    }
    // Fails only for rules that the schema does not express, such as the syntax of amounts.
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        invalid(vec![format!("`{path}`: {}", error.into_inner())])
    })
}

/// Rejects texts that would take a parser minutes, or exhaust its stack.
fn check_size(text: &str) -> Result<(), ConfigError> {
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

/// Renders a configuration with its defaults as YAML. Each [`Secret`](super::Secret) is redacted.
#[must_use]
pub fn redacted(config: &impl Serialize) -> String {
    // Fails only for maps with keys other than strings, which a parsed configuration cannot contain.
    serde_yaml_ng::to_string(config).unwrap_or_default()
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

    /// The text is larger than 1 MiB.
    #[error("the configuration is larger than {} MiB; remove what the worker does not need", MAX_SIZE >> 20)]
    TooLarge,

    /// The text nests lists and maps too deeply.
    #[error(
        "the configuration has more than {MAX_DEPTH} nested lists and maps; close or remove some brackets"
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
    #[error("invalid configuration: {}", problems.join("; "))]
    Invalid {
        /// All problems, each with the path of its key.
        problems: Vec<String>,
    },
}
