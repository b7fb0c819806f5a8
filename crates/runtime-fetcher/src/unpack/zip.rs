//! Unpacking of zip archives.

use std::fs::File;
use std::io::{self, BufReader, Read as _, Seek as _};

use zip::ZipArchive;
use zip::read::{ZipFile, ZipReadOptions};
use zip::result::ZipError;

use super::error::{EntryRejection, UnpackError};
use super::folder_writer::{Attributes, FolderWriter};

type Archive<'a> = ZipArchive<BufReader<&'a mut File>>;

/// The longest symlink target on Linux (`PATH_MAX`).
const MAX_LINK_TARGET_BYTES: u64 = 4096;

/// Unpacks all entries.
pub(super) fn unpack(archive: &mut File, writer: &mut FolderWriter<'_>) -> Result<(), UnpackError> {
    // The parser reads the whole directory into memory, so the number of entries is limited before.
    writer.check_entries(max_entries(archive).map_err(UnpackError::Read)?)?;
    archive.rewind().map_err(UnpackError::Read)?;
    let mut archive = Archive::new(BufReader::new(archive)).map_err(corrupt)?;
    // Programs disagree on archives with repeated names or shared bytes: a scanner could accept one content
    // and this worker unpack another. Overlapping entries are also a way to build a decompression bomb.
    if archive.has_duplicate_names() {
        return Err(invalid("two entries have the same name"));
    }
    if archive.has_overlapping_entries().map_err(corrupt)? {
        return Err(invalid("entries overlap"));
    }
    for index in 0..archive.len() {
        let options = ZipReadOptions::new().enforce_header_consistency(true);
        let error = match archive.by_index_with_options(index, options) {
            Ok(entry) => {
                unpack_entry(entry, writer)?;
                continue;
            }
            Err(error) => error,
        };
        return Err(open_error(error, &mut archive, index));
    }
    Ok(())
}

/// Returns the error for an entry that cannot be opened. An encrypted entry is valid but rejected.
fn open_error(error: ZipError, archive: &mut Archive<'_>, index: usize) -> UnpackError {
    match (error, archive.by_index_raw(index)) {
        (ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED), Ok(entry)) => {
            UnpackError::entry(entry.name_raw(), EntryRejection::Kind("encrypted"))
        }
        (error, _) => corrupt(error),
    }
}

/// Returns an upper bound for the number of entries: the number of signatures of directory headers.
///
/// The count in the end record cannot be used: the archive can declare any.
fn max_entries(archive: &mut File) -> io::Result<u64> {
    const SIGNATURE: &[u8] = b"PK\x01\x02";
    const BUFFER_BYTES: usize = 256 * 1024;
    let (mut buffer, mut kept, mut found) = (vec![0; BUFFER_BYTES], 0, 0);
    loop {
        let read = archive.read(&mut buffer[kept..])?;
        if read == 0 {
            return Ok(found);
        }
        let end = kept + read;
        let windows = buffer[..end].windows(SIGNATURE.len());
        found += windows.filter(|bytes| *bytes == SIGNATURE).count() as u64;
        // A signature may begin in one buffer and end in the next.
        let rest = end.saturating_sub(SIGNATURE.len() - 1);
        buffer.copy_within(rest..end, 0);
        kept = end - rest;
    }
}

fn unpack_entry(
    mut entry: ZipFile<'_, BufReader<&mut File>>,
    writer: &mut FolderWriter<'_>,
) -> Result<(), UnpackError> {
    let name = entry.name_raw().to_owned();
    let mode = entry.unix_mode();
    match mode.unwrap_or_default() & S_IFMT {
        S_IFLNK => {
            let mut target = Vec::new();
            let mut content = entry.by_ref().take(MAX_LINK_TARGET_BYTES);
            let read = content.read_to_end(&mut target);
            read.map_err(UnpackError::Corrupt)?;
            writer.symlink(&name, &target)
        }
        0 | S_IFDIR | S_IFREG if entry.is_dir() => writer.folder(&name, mode),
        0 | S_IFREG => {
            let modified = None;
            writer.file(&name, Attributes { mode, modified }, &mut entry)
        }
        S_IFDIR => writer.folder(&name, mode),
        _ => {
            let rejection = EntryRejection::Kind("device or pipe");
            Err(UnpackError::entry(&name, rejection))
        }
    }
}

/// The bits of a Unix mode that hold the kind of file, and the kinds, as in `stat(2)`.
const S_IFMT: u32 = 0o170_000;
const S_IFLNK: u32 = 0o120_000;
const S_IFDIR: u32 = 0o040_000;
const S_IFREG: u32 = 0o100_000;

fn corrupt(error: ZipError) -> UnpackError {
    match error {
        ZipError::Io(error) => UnpackError::Corrupt(error),
        error => UnpackError::Corrupt(io::Error::other(error)),
    }
}

fn invalid(message: &'static str) -> UnpackError {
    UnpackError::Corrupt(io::Error::other(message))
}
