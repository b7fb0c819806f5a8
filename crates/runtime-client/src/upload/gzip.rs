//! Compresses an artifact before its upload, which needs the compressed length in advance.

use std::io::{self, Seek, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::{SpooledData, SpooledTempFile, spooled_tempfile, spooled_tempfile_in};

use super::digests::{Digester, Digests};
use super::source::{Source, SourceError};

/// The size up to which a compressed copy stays in memory.
const MAX_IN_MEMORY_BYTES: usize = 1 << 20;

/// A compressed copy, and the digests of the original.
#[derive(Debug)]
pub(super) struct Compressed {
    pub(super) copy: Source,
    pub(super) original: Digests,
}

/// Compresses and hashes in one pass. Blocks.
pub(super) fn compress(source: &Source, folder: Option<&Path>) -> Result<Compressed, SourceError> {
    let mut digester = Digester::new(source.length());
    let mut encoder = GzEncoder::new(create_spool(folder), Compression::default());
    source.read(|chunk| {
        digester.update(&chunk);
        encoder.write_all(&chunk)
    })?;
    let copy = encoder
        .finish()
        .and_then(into_source)
        .map_err(SourceError::Sink)?;
    Ok(Compressed {
        copy,
        original: digester.finish(),
    })
}

/// Creates a buffer that moves to an unnamed file when it grows, so that even a killed worker leaves no file.
fn create_spool(folder: Option<&Path>) -> SpooledTempFile {
    match folder {
        Some(folder) => spooled_tempfile_in(MAX_IN_MEMORY_BYTES, folder),
        None => spooled_tempfile(MAX_IN_MEMORY_BYTES),
    }
}

fn into_source(mut spool: SpooledTempFile) -> io::Result<Source> {
    spool.rewind()?;
    match spool.into_inner() {
        SpooledData::InMemory(bytes) => Ok(Source::Bytes(bytes.into_inner().into())),
        SpooledData::OnDisk(file) => Source::from_file(file),
    }
}
