//! The part of the payload that says what to mount.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize, JsonSchema)]
pub(super) struct Payload {
    /// What to bring into the folder of the task.
    #[serde(default)]
    pub(super) mounts: Vec<RawMount>,
}

/// A cache (`cacheName` and `directory`) or an input (`content` and `file`).
///
/// One struct instead of two alternatives, because a schema of alternatives can only say that none fits.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RawMount {
    /// The name of the cache.
    #[schemars(length(min = 1))]
    cache_name: Option<String>,
    /// Where the cache appears.
    directory: Option<String>,
    /// A reference to the input.
    content: Option<Value>,
    /// Where the input appears.
    file: Option<String>,
}

/// A mount that makes sense.
pub(super) enum Mount {
    Cache { name: String, directory: String },
    Content { content: Value, file: String },
}

impl TryFrom<RawMount> for Mount {
    type Error = String;

    fn try_from(raw: RawMount) -> Result<Self, String> {
        match (raw.cache_name, raw.directory, raw.content, raw.file) {
            (Some(name), Some(directory), None, None) => Ok(Self::Cache { name, directory }),
            (None, None, Some(content), Some(file)) => Ok(Self::Content { content, file }),
            _ => Err("give `cacheName` and `directory` for a cache, or `content` and `file` for an input".to_owned()),
        }
    }
}
