//! The payload of `mounts`.

#[cfg(feature = "unpack")]
use runtime_fetcher::ArchiveFormat;
use runtime_fetcher::InputLayout;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize, JsonSchema)]
pub(super) struct Payload {
    /// The caches and inputs of the task.
    #[serde(default)]
    pub(super) mounts: Vec<RawMount>,
}

/// A cache (`cacheName` and `directory`), an input file (`content` and `file`), or an archive (`content` and
/// `directory`).
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
// One struct instead of an untagged enum: against a schema of alternatives the validator can only report that none
// matches.
pub(super) struct RawMount {
    /// The name of the cache.
    #[schemars(length(min = 1))]
    cache_name: Option<String>,
    /// The path of the cache or of the unpacked archive.
    directory: Option<String>,
    /// A reference to the input.
    content: Option<Value>,
    /// The path of the input file.
    file: Option<String>,
    /// The format of the archive; by default detected from its first bytes.
    #[cfg(feature = "unpack")]
    format: Option<ArchiveFormat>,
}

/// A valid mount.
pub(super) enum Mount {
    Cache(CacheMount),
    Input(InputMount),
}

/// A named cache, mounted at `target`.
pub(super) struct CacheMount {
    pub(super) name: String,
    pub(super) target: String,
}

/// An input, mounted at `target`.
pub(super) struct InputMount {
    /// The reference to the input, for the fetcher.
    pub(super) content: Value,
    pub(super) layout: InputLayout,
    pub(super) target: String,
}

impl TryFrom<RawMount> for Mount {
    type Error = String;

    fn try_from(raw: RawMount) -> Result<Self, String> {
        #[cfg(feature = "unpack")]
        let format = raw.format;
        #[cfg(not(feature = "unpack"))]
        let format = None::<()>;
        match (raw.cache_name, raw.content, raw.directory, raw.file, format) {
            (Some(name), None, Some(target), None, None) => {
                Ok(Self::Cache(CacheMount { name, target }))
            }
            (None, Some(content), None, Some(target), None) => Ok(Self::Input(InputMount {
                content,
                layout: InputLayout::File,
                target,
            })),
            #[cfg(feature = "unpack")]
            (None, Some(content), Some(target), None, format) => Ok(Self::Input(InputMount {
                content,
                layout: InputLayout::Directory(format),
                target,
            })),
            #[cfg(not(feature = "unpack"))]
            (None, Some(_), Some(_), None, None) => Err(
                "this worker does not unpack archives; use `file` instead of `directory`"
                    .to_owned(),
            ),
            _ => Err(
                "expected `cacheName` and `directory` for a cache, `content` and `file` for an input, \
                 or `content`, `directory` and optionally `format` for an archive"
                    .to_owned(),
            ),
        }
    }
}
