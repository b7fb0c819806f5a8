//! Compresses an artifact before its upload, because its length must be known at the start of it.

use std::io::{self, Seek, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::{SpooledData, SpooledTempFile, spooled_tempfile, spooled_tempfile_in};

use super::digests::{Digester, Digests};
use super::source::{Fault, Source};

/// Compressed bytes up to this stay in memory.
const IN_MEMORY: usize = 1 << 20;

/// A compressed copy, and what is known of the original.
#[derive(Debug)]
pub(super) struct Compressed {
    pub(super) copy: Source,
    pub(super) original: Digests,
}

/// Compresses and hashes in one pass. Blocks.
pub(super) fn compress(source: &Source, folder: Option<&Path>) -> Result<Compressed, Fault> {
    let mut digester = Digester::new(source.length());
    let mut encoder = GzEncoder::new(spool(folder), Compression::default());
    source.read(|chunk| {
        digester.update(&chunk);
        encoder.write_all(&chunk)
    })?;
    let copy = encoder
        .finish()
        .and_then(into_source)
        .map_err(Fault::Sink)?;
    Ok(Compressed {
        copy,
        original: digester.finish(),
    })
}

/// A place for the copy. A file of it has no name, so that nothing stays behind.
fn spool(folder: Option<&Path>) -> SpooledTempFile {
    match folder {
        Some(folder) => spooled_tempfile_in(IN_MEMORY, folder),
        None => spooled_tempfile(IN_MEMORY),
    }
}

fn into_source(mut spool: SpooledTempFile) -> io::Result<Source> {
    spool.rewind()?;
    match spool.into_inner() {
        SpooledData::InMemory(bytes) => Ok(Source::Bytes(bytes.into_inner().into())),
        SpooledData::OnDisk(file) => Source::of_file(file),
    }
}
