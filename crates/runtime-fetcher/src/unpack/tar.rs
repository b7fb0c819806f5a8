//! Unpacking of tar archives.

use std::io::{self, ErrorKind, Read};
use std::time::{Duration, SystemTime};

use tar::{Archive, Entry, EntryType};

use super::error::{EntryRejection, UnpackError};
use super::folder_writer::{Attributes, FolderWriter};
use super::limited_reader::{LimitedReader, ReadBudget};

/// The budget between the contents of two entries: header, long names, extended attributes, padding.
const HEADER_BYTES: u64 = 1 << 20;

/// Unpacks all entries.
pub(super) fn unpack<R: Read>(
    reader: LimitedReader<R>,
    writer: &mut FolderWriter<'_>,
) -> Result<(), UnpackError> {
    let budget = reader.budget();
    let mut archive = Archive::new(reader);
    let mut entries = archive.entries().map_err(UnpackError::Corrupt)?;
    loop {
        budget.set(HEADER_BYTES);
        let Some(entry) = entries.next() else { break };
        unpack_entry(entry.map_err(UnpackError::Corrupt)?, &budget, writer)?;
    }
    budget.set(HEADER_BYTES);
    // Reading to the end verifies the checksum of the compression, which follows the padding of the last entry.
    let rest = io::copy(&mut archive.into_inner(), &mut io::sink());
    rest.map(drop).map_err(UnpackError::Corrupt)
}

fn unpack_entry<R: Read>(
    mut entry: Entry<'_, R>,
    budget: &ReadBudget,
    writer: &mut FolderWriter<'_>,
) -> Result<(), UnpackError> {
    let name = entry.path_bytes().into_owned();
    let reject = |kind| Err(UnpackError::entry(&name, EntryRejection::Kind(kind)));
    if is_sparse(&mut entry)? {
        return reject("sparse file");
    }
    let mode = entry.header().mode().ok();
    match entry.header().entry_type() {
        EntryType::Directory => writer.folder(&name, mode),
        // Archives older than ustar mark a folder by a slash at the end of its name.
        EntryType::Regular if name.ends_with(b"/") => writer.folder(&name, mode),
        EntryType::Regular | EntryType::Continuous => {
            let modified = entry.header().mtime().ok().and_then(since_epoch);
            // The parser passes on at most the declared size; `ExactReader` detects a shorter content.
            let size = entry.size();
            budget.set(size);
            let mut content = ExactReader {
                inner: &mut entry,
                remaining: size,
            };
            writer.file(&name, Attributes { mode, modified }, &mut content)
        }
        EntryType::Symlink => writer.symlink(&name, &link_target(&entry)),
        EntryType::Link => writer.hard_link(&name, &link_target(&entry)),
        EntryType::Char | EntryType::Block => reject("device"),
        EntryType::Fifo => reject("named pipe"),
        // Attributes of the whole archive, such as the commit in an archive of git.
        EntryType::XGlobalHeader => {
            budget.set(entry.size().min(HEADER_BYTES));
            io::copy(&mut entry, &mut io::sink())
                .map(drop)
                .map_err(UnpackError::Corrupt)
        }
        _ => reject("unknown type"),
    }
}

fn link_target<R: Read>(entry: &Entry<'_, R>) -> Vec<u8> {
    entry
        .link_name_bytes()
        .map(|name| name.into_owned())
        .unwrap_or_default()
}

/// Returns whether an entry is a sparse file, in either of the two formats of GNU tar.
///
/// The content of such an entry is a map and fragments, which would be written as if they were the file.
fn is_sparse<R: Read>(entry: &mut Entry<'_, R>) -> Result<bool, UnpackError> {
    match entry.header().entry_type() {
        EntryType::GNUSparse => return Ok(true),
        EntryType::XGlobalHeader => return Ok(false),
        _ => {}
    }
    let Some(extensions) = entry.pax_extensions().map_err(UnpackError::Corrupt)? else {
        return Ok(false);
    };
    for extension in extensions {
        let extension = extension.map_err(UnpackError::Corrupt)?;
        if extension.key_bytes().starts_with(b"GNU.sparse.") {
            return Ok(true);
        }
    }
    Ok(false)
}

fn since_epoch(seconds: u64) -> Option<SystemTime> {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

/// The content of a file. Ending early is an error, which the tar parser does not report.
struct ExactReader<R> {
    inner: R,
    remaining: u64,
}

impl<R: Read> Read for ExactReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        if read == 0 && self.remaining > 0 && !buffer.is_empty() {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.remaining = self.remaining.saturating_sub(read as u64);
        Ok(read)
    }
}
