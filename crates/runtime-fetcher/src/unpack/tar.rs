//! Reads tar.

use std::io::{self, ErrorKind, Read};
use std::time::{Duration, SystemTime};

use tar::{Archive, Entry, EntryType};

use super::gate::{Allowance, Gate};
use super::tree::{Attributes, Tree};
use super::{EntryRejection, UnpackError};

/// What may come between two entries: a header, long names, extended attributes, padding.
const HEADERS: u64 = 1 << 20;

/// Puts all entries into the tree.
pub(super) fn read<R: Read>(gate: Gate<R>, tree: &mut Tree<'_>) -> Result<(), UnpackError> {
    let allowance = gate.allowance();
    let mut archive = Archive::new(gate);
    let mut entries = archive.entries().map_err(damaged)?;
    loop {
        allowance.set(HEADERS);
        let Some(entry) = entries.next() else { break };
        add(entry.map_err(damaged)?, &allowance, tree)?;
    }
    allowance.set(HEADERS);
    // Behind the last entry is padding, and the check sum of what compressed it.
    let rest = io::copy(&mut archive.into_inner(), &mut io::sink());
    rest.map(drop).map_err(damaged)
}

fn add<R: Read>(
    mut entry: Entry<'_, R>,
    allowance: &Allowance,
    tree: &mut Tree<'_>,
) -> Result<(), UnpackError> {
    let name = entry.path_bytes().into_owned();
    let refuse = |kind| Err(UnpackError::refused(&name, EntryRejection::Kind(kind)));
    if is_sparse(&mut entry)? {
        return refuse("a sparse file");
    }
    let mode = entry.header().mode().ok();
    match entry.header().entry_type() {
        EntryType::Directory => tree.folder(&name, mode),
        // Archives older than ustar end the names of folders in a slash.
        EntryType::Regular if name.ends_with(b"/") => tree.folder(&name, mode),
        EntryType::Regular | EntryType::Continuous => {
            let modified = entry.header().mtime().ok().and_then(since_epoch);
            allowance.set(entry.size());
            let size = entry.size();
            let mut content = Whole {
                inner: &mut entry,
                left: size,
            };
            tree.file(&name, Attributes { mode, modified }, &mut content)
        }
        EntryType::Symlink => tree.symlink(&name, &target(&entry)),
        EntryType::Link => tree.hard_link(&name, &target(&entry)),
        EntryType::Char | EntryType::Block => refuse("a device"),
        EntryType::Fifo => refuse("a named pipe"),
        // Remarks on the whole archive, such as the commit that git made it of.
        EntryType::XGlobalHeader => {
            allowance.set(entry.size().min(HEADERS));
            io::copy(&mut entry, &mut io::sink())
                .map(drop)
                .map_err(damaged)
        }
        _ => refuse("of a kind that is not known"),
    }
}

fn target<R: Read>(entry: &Entry<'_, R>) -> Vec<u8> {
    entry
        .link_name_bytes()
        .map(|name| name.into_owned())
        .unwrap_or_default()
}

/// Both ways in which GNU tar marks them: what they hold is a map, and pieces.
fn is_sparse<R: Read>(entry: &mut Entry<'_, R>) -> Result<bool, UnpackError> {
    if entry.header().entry_type() == EntryType::GNUSparse {
        return Ok(true);
    }
    if entry.header().entry_type() == EntryType::XGlobalHeader {
        return Ok(false);
    }
    let Some(extensions) = entry.pax_extensions().map_err(damaged)? else {
        return Ok(false);
    };
    for extension in extensions {
        let extension = extension.map_err(damaged)?;
        if extension.key_bytes().starts_with(b"GNU.sparse.") {
            return Ok(true);
        }
    }
    Ok(false)
}

fn since_epoch(seconds: u64) -> Option<SystemTime> {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

fn damaged(error: io::Error) -> UnpackError {
    UnpackError::Damaged(error)
}

/// A file's content, which is an error if it ends early.
struct Whole<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Whole<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        if read == 0 && self.left > 0 && !buffer.is_empty() {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.left = self.left.saturating_sub(read as u64);
        Ok(read)
    }
}
