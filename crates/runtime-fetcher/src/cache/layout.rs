//! The key of a cached input, and its layout on disk.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::hash_key::HashKey;

/// The name of the input within its folder.
pub(super) const CONTENT: &str = "content";

/// The layout of an input on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum InputLayout {
    /// A file with the fetched bytes.
    File,
    /// A folder with the entries of the archive. Without a format, the first bytes determine it.
    #[cfg(feature = "unpack")]
    Directory(Option<crate::unpack::ArchiveFormat>),
}

/// The identity of an input. An archive and its unpacked entries are two inputs.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct InputKey {
    reference: HashKey,
    layout: InputLayout,
}

impl InputKey {
    pub(super) fn new(reference: HashKey, layout: InputLayout) -> Self {
        Self { reference, layout }
    }
}

/// The name of the input in reports of the collector and on the status page.
impl fmt::Debug for InputKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reference.as_str())?;
        if self.layout == InputLayout::File {
            return Ok(());
        }
        f.write_str(", unpacked")
    }
}
