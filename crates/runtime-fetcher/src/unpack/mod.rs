//! Unpacking of untrusted archives: tar (plain, gzip, xz, zstd) and zip.

mod entry_path;
mod error;
mod folder_writer;
mod format;
mod limited_reader;
mod limits;
mod tar;
mod zip;

pub use error::{EntryRejection, UnpackError};
pub use format::ArchiveFormat;
pub use limits::{UnpackLimits, UnpackTotals};

use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::path::Path;
use std::sync::atomic::AtomicBool;

use folder_writer::FolderWriter;
use format::decompress;
use limited_reader::LimitedReader;
use limits::UnpackBudget;

/// Unpacks an archive into a folder that no other process writes to. Blocks the thread.
///
/// Without a format, the first bytes determine it. A compressed tar may also be
/// uncompressed. These rules apply:
///
/// * A path is relative, without `..`, in UTF-8, and differs from the path of every other entry.
/// * A symlink leads to a place inside the folder, even through other symlinks: its target is relative and has `..`
///   only at the start, at most as many as the link has parent folders. Symlinks are created after all files, so
///   that no file is written through one.
/// * A hard link names an earlier file.
/// * Devices, pipes, sparse files and encrypted entries are rejected.
/// * The set-user-ID, set-group-ID and sticky bits, owners and extended attributes are dropped. The owner may
///   always write, so that the worker can remove the folder.
/// * Bytes, entries, and the ratio of bytes to the size of the archive stay within `limits`.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use runtime_fetcher::unpack::{UnpackLimits, unpack};
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
/// An [`UnpackError`]. Entries that were unpacked before stay in the folder: remove it.
pub fn unpack(
    archive: &mut File,
    format: Option<ArchiveFormat>,
    folder: &Path,
    limits: &UnpackLimits,
) -> Result<UnpackTotals, UnpackError> {
    unpack_until(archive, format, folder, limits, &AtomicBool::new(false))
}

/// Unpacks like [`unpack`], until `stop` is set.
pub(crate) fn unpack_until(
    archive: &mut File,
    format: Option<ArchiveFormat>,
    folder: &Path,
    limits: &UnpackLimits,
    stop: &AtomicBool,
) -> Result<UnpackTotals, UnpackError> {
    let size = archive.seek(SeekFrom::End(0)).map_err(UnpackError::Read)?;
    let format = ArchiveFormat::detect(archive, format)?;
    archive.rewind().map_err(UnpackError::Read)?;
    let mut writer = FolderWriter::new(folder, UnpackBudget::new(limits, size, stop));
    match format {
        ArchiveFormat::Zip => zip::unpack(archive, &mut writer)?,
        _ => {
            let tar = decompress(archive, format)?;
            tar::unpack(LimitedReader::new(tar), &mut writer)?;
        }
    }
    writer.finish()
}
