//! Unpacks archives that nobody has to trust.

mod error;
mod format;
mod gate;
mod limits;
mod tar;
mod tree;
mod zip;

pub use error::{EntryRejection, UnpackError};
pub use format::ArchiveFormat;
pub use limits::UnpackLimits;

use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::path::Path;
use std::sync::atomic::AtomicBool;

use format::Decoder;
use gate::Gate;
use limits::Budget;
use tree::Tree;

/// What came out of an archive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unpacked {
    /// How many files, folders and links there are.
    pub entries: u64,
    /// How many bytes the files have.
    pub bytes: u64,
}

/// Unpacks an archive into a folder that nobody else writes to; blocks the thread.
///
/// The format is found by looking at the first bytes unless it is given. These rules hold:
///
/// * A path is relative, without `..`, in UTF-8, and names something that no other entry names.
/// * A symlink leads to a place inside the folder, over any number of others: its target is relative and has
///   `..` only in front, at most as often as the link is deep. Links are made when all files are written, so
///   that nothing is ever written through one.
/// * A hard link names a file that came before it.
/// * There are no devices, no pipes, no sparse files, and nothing encrypted.
/// * Bits for set-user-ID, set-group-ID and sticky are dropped, and so are owners and extended attributes.
///   The owner may always write, so that the worker can remove what it unpacked.
/// * Bytes, entries, and the ratio of bytes to the size of the archive stay within `limits`.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use runtime_fetcher::{UnpackLimits, unpack};
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("a.tar");
/// # let mut archive = tar::Builder::new(std::fs::File::create(&path)?);
/// # let mut header = tar::Header::new_gnu();
/// # header.set_size(5);
/// # archive.append_data(&mut header, "greeting", &b"hello"[..])?;
/// # archive.into_inner()?;
/// # let into = folder.path().join("unpacked");
/// # std::fs::create_dir(&into)?;
/// let mut archive = std::fs::File::open(&path)?;
/// let unpacked = unpack(&mut archive, None, &into, &UnpackLimits::default())?;
/// assert_eq!((unpacked.entries, unpacked.bytes), (1, 5));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// An [`UnpackError`]. What was unpacked before stays in the folder: remove it.
pub fn unpack(
    archive: &mut File,
    format: Option<ArchiveFormat>,
    folder: &Path,
    limits: &UnpackLimits,
) -> Result<Unpacked, UnpackError> {
    unpack_until(archive, format, folder, limits, &AtomicBool::new(false))
}

/// As [`unpack`], until `stop` is set.
pub(crate) fn unpack_until(
    archive: &mut File,
    format: Option<ArchiveFormat>,
    folder: &Path,
    limits: &UnpackLimits,
    stop: &AtomicBool,
) -> Result<Unpacked, UnpackError> {
    let size = archive.seek(SeekFrom::End(0)).map_err(UnpackError::read)?;
    let format = match format {
        Some(format) => format,
        None => ArchiveFormat::of(archive)?,
    };
    archive.rewind().map_err(UnpackError::read)?;
    let mut tree = Tree::new(folder, Budget::new(limits, size, stop));
    match format {
        ArchiveFormat::Zip => zip::read(archive, &mut tree)?,
        _ => tar::read(Gate::new(Decoder::new(archive, format)?), &mut tree)?,
    }
    tree.finish()
}
