//! The part of the payload that says what to mount.

#[cfg(feature = "unpack")]
use runtime_fetcher::ArchiveFormat;
use runtime_fetcher::InputLayout;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize, JsonSchema)]
pub(super) struct Payload {
    /// What to bring into the folder of the task.
    #[serde(default)]
    pub(super) mounts: Vec<RawMount>,
}

/// A cache (`cacheName` and `directory`), or an input (`content`, and `file`, or `directory` for what is
/// in an archive).
///
/// One struct instead of alternatives, because a schema of alternatives can only say that none fits.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RawMount {
    /// The name of the cache.
    #[schemars(length(min = 1))]
    cache_name: Option<String>,
    /// Where the cache appears, or what is in the archive.
    directory: Option<String>,
    /// A reference to the input.
    content: Option<Value>,
    /// Where the input appears.
    file: Option<String>,
    /// The format of the archive; a look at its first bytes tells it, unless it is given.
    #[cfg(feature = "unpack")]
    format: Option<ArchiveFormat>,
}

/// A mount that makes sense.
pub(super) enum Mount {
    Cache(CacheMount),
    Input(InputMount),
}

/// A folder that outlives the task.
pub(super) struct CacheMount {
    pub(super) name: String,
    pub(super) directory: String,
}

/// Something that is fetched.
pub(super) struct InputMount {
    /// The reference.
    pub(super) content: Value,
    pub(super) form: InputLayout,
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
            (Some(name), None, Some(directory), None, None) => {
                Ok(Self::Cache(CacheMount { name, directory }))
            }
            (None, Some(content), None, Some(target), None) => Ok(Self::Input(InputMount {
                content,
                form: InputLayout::File,
                target,
            })),
            #[cfg(feature = "unpack")]
            (None, Some(content), Some(target), None, format) => Ok(Self::Input(InputMount {
                content,
                form: InputLayout::Directory(format),
                target,
            })),
            #[cfg(not(feature = "unpack"))]
            (None, Some(_), Some(_), None, None) => Err(
                "this worker does not unpack archives; give `file` in place of `directory`"
                    .to_owned(),
            ),
            _ => Err(
                "give `cacheName` and `directory` for a cache, `content` and `file` for an input, \
                 or `content`, `directory` and perhaps `format` for an archive"
                    .to_owned(),
            ),
        }
    }
}
