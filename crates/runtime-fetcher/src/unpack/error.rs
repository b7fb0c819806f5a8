//! Why an archive is not unpacked.

use std::io;
use std::path::PathBuf;

use runtime_ioext::RelativePathError;

/// An archive is not unpacked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnpackError {
    /// It is no archive, or none of a known format.
    #[error(
        "this is no archive that can be unpacked: neither tar (plain, gzip, xz or zstd) nor zip"
    )]
    UnknownFormat,

    /// It breaks the rules of its format, or is cut.
    #[error("the archive is damaged")]
    Damaged(#[source] io::Error),

    /// It holds something that must not be there.
    #[error("the archive's entry {entry} is refused")]
    Refused {
        /// The entry's path as it stands in the archive, quoted.
        entry: String,
        /// What is wrong with it.
        source: EntryRejection,
    },

    /// More comes out of it than is allowed.
    #[error("more than the {limit} bytes that are allowed come out of the archive")]
    TooLarge {
        /// The limit.
        limit: u64,
    },

    /// It holds more than is allowed.
    #[error(
        "there are more than the {limit} files, folders and links that are allowed in the archive"
    )]
    TooMany {
        /// The limit.
        limit: u64,
    },

    /// Its names take too much memory.
    #[error("the names in the archive have more than the {limit} bytes that are allowed")]
    Names {
        /// The limit.
        limit: u64,
    },

    /// It swells in a way that honest archives do not.
    #[error(
        "more than {ratio} times the size of the archive comes out of it, which is not allowed"
    )]
    Swells {
        /// The limit.
        ratio: u64,
    },

    /// The operating system refuses.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was tried, such as `write`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },

    /// The archive cannot be read.
    #[error("cannot read the archive")]
    Read(#[source] io::Error),

    /// Nobody waits for it any more.
    #[error("unpacking was stopped")]
    Stopped,
}

/// Why an entry of an archive is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryRejection {
    /// Its path leads out of the folder, or is none.
    #[error(transparent)]
    Path(#[from] RelativePathError),

    /// Its path or target is not UTF-8.
    #[error("its name is not UTF-8")]
    NotText,

    /// The system does not take the name.
    #[error("its name is not one that this system takes")]
    Name,

    /// Another entry has its place, or is a file where it needs a folder.
    #[error("another entry of the archive is in its place")]
    Conflict,

    /// It is a symlink that leads out of the folder, or might.
    #[error(
        "it is a link to {to:?}; a target must be relative, stay inside the archive, and have `..` only in front"
    )]
    Link {
        /// The target.
        to: String,
    },

    /// It is a hard link to something that is no file before it.
    #[error("it is a hard link to {to:?}, which is no file that came before it")]
    HardLink {
        /// The target.
        to: String,
    },

    /// It is neither a file nor a folder nor a link.
    #[error("it is {0}")]
    Kind(&'static str),
}

impl UnpackError {
    pub(super) fn read(source: io::Error) -> Self {
        Self::Read(source)
    }

    pub(super) fn refused(entry: &[u8], source: impl Into<EntryRejection>) -> Self {
        Self::Refused {
            entry: quoted(entry),
            source: source.into(),
        }
    }

    /// Reports whether the archive is to blame, and not the machine.
    #[must_use]
    pub fn is_archives_fault(&self) -> bool {
        !matches!(self, Self::Io { .. } | Self::Read(_) | Self::Stopped)
    }
}

/// A name for a message: quoted, since it may hold anything, and cut.
fn quoted(name: &[u8]) -> String {
    const LONGEST: usize = 200;
    let text: String = String::from_utf8_lossy(name)
        .chars()
        .take(LONGEST)
        .collect();
    format!("{text:?}")
}
