//! The key of a cached input, and its layout on disk.

use std::fmt;
use std::hash::{Hash, Hasher};

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
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct InputKey {
    reference: HashKey,
    layout: InputLayout,
    /// The description of the reference by which it was first fetched, for people. Not part of the identity: other
    /// references may lead to the same bytes.
    #[serde(default)]
    subject: String,
}

impl InputKey {
    pub(super) fn new(reference: HashKey, layout: InputLayout, subject: &str) -> Self {
        let subject = subject.to_owned();
        Self {
            reference,
            layout,
            subject,
        }
    }
}

impl PartialEq for InputKey {
    fn eq(&self, other: &Self) -> bool {
        (&self.reference, self.layout) == (&other.reference, other.layout)
    }
}

impl Eq for InputKey {}

impl Hash for InputKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.reference, self.layout).hash(state);
    }
}

/// The name of the input in reports of the collector and on the status page.
impl fmt::Debug for InputKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.subject.as_str() {
            // A record of an earlier version.
            "" => f.write_str(self.reference.as_str())?,
            subject => f.write_str(subject)?,
        }
        if self.layout == InputLayout::File {
            return Ok(());
        }
        f.write_str(", unpacked")
    }
}
