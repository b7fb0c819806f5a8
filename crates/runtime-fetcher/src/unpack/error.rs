//! The error of unpacking an archive.

use std::io;
use std::path::PathBuf;

use runtime_ioext::RelativePathError;

/// The reason an archive was not unpacked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnpackError {
    /// The first bytes match no supported format.
    #[error("unknown archive format, expected tar (plain, gzip, xz or zstd) or zip")]
    UnknownFormat,

    /// The archive violates its format or is truncated.
    #[error("corrupt archive")]
    Corrupt(#[source] io::Error),

    /// An entry violates a rule of [`unpack`](super::unpack).
    #[error("rejected archive entry {entry}")]
    Entry {
        /// The path of the entry in the archive, quoted.
        entry: String,
        /// The violated rule.
        source: EntryRejection,
    },

    /// The unpacked files exceed [`max_bytes`](super::UnpackLimits::max_bytes).
    #[error("archive unpacks to more than the limit of {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: u64,
    },

    /// The archive exceeds [`max_entries`](super::UnpackLimits::max_entries).
    #[error("archive has more than the limit of {limit} entries")]
    TooManyEntries {
        /// The limit.
        limit: u64,
    },

    /// The names of folders and links, which are kept in memory, are too long.
    #[error("names in the archive exceed the limit of {limit} bytes")]
    NamesTooLong {
        /// The limit.
        limit: u64,
    },

    /// The archive exceeds [`max_ratio`](super::UnpackLimits::max_ratio), like a decompression bomb.
    #[error("archive unpacks to more than {ratio} times its size")]
    RatioExceeded {
        /// The limit.
        ratio: u64,
    },

    /// A file operation failed.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// The operation, such as `write`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },

    /// Reading the archive failed.
    #[error("cannot read the archive")]
    Read(#[source] io::Error),

    /// The caller was dropped.
    #[error("unpacking was cancelled")]
    Cancelled,
}

/// The rule that an entry of an archive violates.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryRejection {
    /// The path is empty, absolute, or leads out of the folder.
    #[error(transparent)]
    Path(#[from] RelativePathError),

    /// The path or link target is not UTF-8.
    #[error("name is not UTF-8")]
    NotText,

    /// The operating system does not accept the name, for example because the path is too long.
    #[error("name is too long or not valid on this system")]
    Name,

    /// Another entry has the path, or is a file where this entry needs a folder.
    #[error("conflicts with another entry of the archive")]
    Conflict,

    /// The entry is a symlink that may lead out of the folder.
    #[error(
        "symlink to {to:?}: the target must be relative, stay inside the archive, and have `..` only at the start"
    )]
    Link {
        /// The target.
        to: String,
    },

    /// The entry is a hard link to something other than an earlier file.
    #[error("hard link to {to:?}, which is not an earlier file")]
    HardLink {
        /// The target.
        to: String,
    },

    /// The entry has an unsupported kind.
    #[error("unsupported kind of entry: {0}")]
    Kind(&'static str),
}

impl UnpackError {
    pub(super) fn entry(entry: &[u8], source: impl Into<EntryRejection>) -> Self {
        Self::Entry {
            entry: quoted(entry),
            source: source.into(),
        }
    }

    /// Returns whether the archive is invalid, as opposed to a failure of the machine.
    #[must_use]
    pub fn is_invalid_archive(&self) -> bool {
        !matches!(self, Self::Io { .. } | Self::Read(_) | Self::Cancelled)
    }
}

/// Returns a name for a message: escaped, since it may contain anything, and cut.
fn quoted(name: &[u8]) -> String {
    const MAX_CHARS: usize = 200;
    let text: String = String::from_utf8_lossy(name)
        .chars()
        .take(MAX_CHARS)
        .collect();
    format!("{text:?}")
}
