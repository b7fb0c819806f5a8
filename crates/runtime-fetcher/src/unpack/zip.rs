//! Reads zip.

use std::fs::File;
use std::io::{self, BufReader, Read as _, Seek as _};

use zip::ZipArchive;
use zip::read::{ZipFile, ZipReadOptions};
use zip::result::ZipError;

use super::tree::{Attributes, Tree};
use super::{EntryRejection, UnpackError};

type Archive<'a> = ZipArchive<BufReader<&'a mut File>>;

/// The longest target of a symlink that systems take.
const LONGEST_TARGET: u64 = 4096;

/// Puts all entries into the tree.
pub(super) fn read(archive: &mut File, tree: &mut Tree<'_>) -> Result<(), UnpackError> {
    // All entries are about to be read into memory, so how many there can be has to be known before.
    tree.expect(most_entries(archive).map_err(UnpackError::Read)?)?;
    archive.rewind().map_err(UnpackError::Read)?;
    let mut archive = Archive::new(BufReader::new(archive)).map_err(damaged)?;
    // Two readers could see two archives in one that repeats names or shares bytes.
    if archive.has_duplicate_names() {
        return Err(wrong("it names a file twice"));
    }
    if archive.has_overlapping_entries().map_err(damaged)? {
        return Err(wrong("its files overlap"));
    }
    for index in 0..archive.len() {
        let options = ZipReadOptions::new().enforce_header_consistency(true);
        let error = match archive.by_index_with_options(index, options) {
            Ok(entry) => {
                add(entry, tree)?;
                continue;
            }
            Err(error) => error,
        };
        return Err(not_opened(error, &mut archive, index));
    }
    Ok(())
}

/// A file that needs a password is whole all the same.
fn not_opened(error: ZipError, archive: &mut Archive<'_>, index: usize) -> UnpackError {
    match (error, archive.by_index_raw(index)) {
        (ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED), Ok(entry)) => {
            UnpackError::refused(entry.name_raw(), EntryRejection::Kind("encrypted"))
        }
        (error, _) => damaged(error),
    }
}

/// How many entries the archive can have: every one that is listed has a header in the directory.
fn most_entries(archive: &mut File) -> io::Result<u64> {
    const HEADER: &[u8] = b"PK\x01\x02";
    const PIECE: usize = 256 * 1024;
    let (mut piece, mut kept, mut found) = (vec![0; PIECE], 0, 0);
    loop {
        let read = archive.read(&mut piece[kept..])?;
        if read == 0 {
            return Ok(found);
        }
        let end = kept + read;
        let headers = piece[..end].windows(HEADER.len());
        found += headers.filter(|bytes| *bytes == HEADER).count() as u64;
        // A header may begin in one piece and end in the next.
        let rest = end.saturating_sub(HEADER.len() - 1);
        piece.copy_within(rest..end, 0);
        kept = end - rest;
    }
}

fn add(
    mut entry: ZipFile<'_, BufReader<&mut File>>,
    tree: &mut Tree<'_>,
) -> Result<(), UnpackError> {
    let name = entry.name_raw().to_owned();
    let refuse = |kind| Err(UnpackError::refused(&name, EntryRejection::Kind(kind)));
    let mode = entry.unix_mode();
    match mode.unwrap_or_default() & FILE_KIND {
        SYMLINK => {
            let mut target = Vec::new();
            let read = entry.by_ref().take(LONGEST_TARGET).read_to_end(&mut target);
            read.map_err(UnpackError::Damaged)?;
            tree.symlink(&name, &target)
        }
        0 | FOLDER | PLAIN if entry.is_dir() => tree.folder(&name, mode),
        0 | PLAIN => {
            let modified = None;
            tree.file(&name, Attributes { mode, modified }, &mut entry)
        }
        FOLDER => tree.folder(&name, mode),
        _ => refuse("a device or a pipe"),
    }
}

const FILE_KIND: u32 = 0o170_000;
const SYMLINK: u32 = 0o120_000;
const FOLDER: u32 = 0o040_000;
const PLAIN: u32 = 0o100_000;

fn damaged(error: ZipError) -> UnpackError {
    match error {
        ZipError::Io(error) => UnpackError::Damaged(error),
        error => UnpackError::Damaged(io::Error::other(error)),
    }
}

fn wrong(what: &'static str) -> UnpackError {
    UnpackError::Damaged(io::Error::other(what))
}
