//! The formats of configuration files.

use std::fmt;
use std::path::Path;

use runtime_core::BoxError;
use serde_json::Value;

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

    pub(super) fn parse(self, text: &str) -> Result<Value, BoxError> {
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
