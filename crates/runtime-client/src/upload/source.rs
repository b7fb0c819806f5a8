//! A source of bytes that is read in order, once per attempt.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::time::SystemTime;

use bytes::Bytes;
use runtime_core::artifact::{ArtifactSource, ArtifactStream};

use super::plain_file;

/// Large enough that passing a chunk to another thread costs nothing in comparison, small enough that many uploads fit
/// into memory.
const CHUNK_BYTES: usize = 128 << 10;

/// An open source of known length.
#[derive(Debug)]
pub(super) enum Source {
    Bytes(Bytes),
    File(OpenFile),
    Stream { stream: ArtifactStream, length: u64 },
}

/// An open plain file, with length and modification time at the time of opening.
#[derive(Debug)]
pub(super) struct OpenFile {
    file: File,
    length: u64,
    modified: Option<SystemTime>,
}

impl From<io::Error> for SourceError {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

/// An error while reading a source.
#[derive(Debug)]
pub(super) enum SourceError {
    /// The file or stream could not be read.
    Read(io::Error),
    /// The file or stream changed since it was opened.
    Changed { expected: u64, found: u64 },
    /// The receiver of the bytes failed.
    Sink(io::Error),
}

impl Source {
    /// Opens a source. Blocks.
    pub(super) fn open(source: &ArtifactSource) -> io::Result<Self> {
        match source {
            ArtifactSource::Bytes(bytes) => Ok(Self::Bytes(bytes.clone())),
            ArtifactSource::File(path) => Self::from_file(plain_file::open(path)?),
            ArtifactSource::FileWithoutLinks(path) => {
                Self::from_file(runtime_ioext::open_without_symlinks(path)?)
            }
            ArtifactSource::Stream(stream) => Ok(Self::Stream {
                length: stream.byte_length()?,
                stream: stream.clone(),
            }),
        }
    }

    /// Creates a source from an open file.
    pub(super) fn from_file(file: File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        Ok(Self::File(OpenFile {
            file,
            length: metadata.len(),
            modified: metadata.modified().ok(),
        }))
    }

    /// Returns the length in bytes.
    pub(super) fn length(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File(file) => file.length,
            Self::Stream { length, .. } => *length,
        }
    }

    /// Passes all bytes to `sink` in order. Blocks.
    ///
    /// The last chunk is passed on only after the source is known to be unchanged. A store therefore never has all
    /// bytes of a changed source, and does not store it.
    pub(super) fn read(
        &self,
        sink: impl FnMut(Bytes) -> io::Result<()>,
    ) -> Result<(), SourceError> {
        match self {
            Self::Bytes(bytes) => chunks(bytes).try_for_each(sink).map_err(SourceError::Sink),
            Self::File(file) => file.read(sink),
            Self::Stream { stream, length } => {
                let unchanged = || Ok(());
                let read = stream.read_from_start(|stream| read(stream, *length, unchanged, sink));
                read.map_err(SourceError::Read)?
            }
        }
    }
}

impl OpenFile {
    fn read(&self, sink: impl FnMut(Bytes) -> io::Result<()>) -> Result<(), SourceError> {
        // Each attempt starts at the first byte, with the same open file, so that a replaced path has no effect.
        (&self.file).rewind().map_err(SourceError::Read)?;
        read(&self.file, self.length, || self.check_unmodified(), sink)
    }

    /// Detects bytes that were overwritten without changing the length.
    fn check_unmodified(&self) -> Result<(), SourceError> {
        let metadata = self.file.metadata().map_err(SourceError::Read)?;
        if metadata.modified().ok() == self.modified {
            Ok(())
        } else {
            Err(SourceError::Changed {
                expected: self.length,
                found: self.length,
            })
        }
    }
}

/// Passes `length` bytes of `reader` to `sink`, the last chunk only after `check_unmodified`.
fn read(
    mut reader: impl Read,
    length: u64,
    check_unmodified: impl FnOnce() -> Result<(), SourceError>,
    mut sink: impl FnMut(Bytes) -> io::Result<()>,
) -> Result<(), SourceError> {
    let changed = |found| SourceError::Changed {
        expected: length,
        found,
    };
    let (mut read_bytes, mut held_chunk) = (0, Bytes::new());
    loop {
        let chunk = read_chunk(&mut reader, length - read_bytes).map_err(SourceError::Read)?;
        if chunk.is_empty() {
            break;
        }
        read_bytes += chunk.len() as u64;
        // At once and not at the end: a log that is still being written may grow faster than it is sent.
        if read_bytes > length {
            return Err(changed(read_bytes));
        }
        // The last chunk is held back until the source is known to be unchanged. Without it the
        // body is incomplete, so the store cannot accept a mix of two versions.
        let ready = std::mem::replace(&mut held_chunk, chunk);
        if !ready.is_empty() {
            sink(ready).map_err(SourceError::Sink)?;
        }
    }
    if read_bytes < length {
        return Err(changed(read_bytes));
    }
    check_unmodified()?;
    if held_chunk.is_empty() {
        Ok(())
    } else {
        sink(held_chunk).map_err(SourceError::Sink)
    }
}

/// Reads one chunk, which is shorter only at the end. `remaining` bytes are expected.
fn read_chunk(reader: impl Read, remaining: u64) -> io::Result<Bytes> {
    // One byte more than is expected, so that the end of the source is found without a larger buffer.
    let capacity = usize::try_from(remaining.saturating_add(1)).unwrap_or(CHUNK_BYTES);
    let mut chunk = Vec::with_capacity(capacity.min(CHUNK_BYTES));
    reader.take(CHUNK_BYTES as u64).read_to_end(&mut chunk)?;
    Ok(chunk.into())
}

/// Splits bytes into chunks without copying.
fn chunks(bytes: &Bytes) -> impl Iterator<Item = Bytes> + '_ {
    let starts = (0..bytes.len()).step_by(CHUNK_BYTES);
    starts.map(|start| bytes.slice(start..bytes.len().min(start + CHUNK_BYTES)))
}

/// Runs a blocking operation on tokio's pool for them. A panic is propagated.
pub(super) async fn run_blocking<T: Send + 'static>(
    operation: impl FnOnce() -> T + Send + 'static,
) -> T {
    match tokio::task::spawn_blocking(operation).await {
        Ok(result) => result,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
