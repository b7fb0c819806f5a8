//! Where the bytes of an artifact come from, read in order as often as needed.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::time::SystemTime;

use bytes::Bytes;
use runtime_core::artifact::ArtifactSource;

use super::plain_file;

/// Bytes a chunk: large enough that hand-over costs nothing, small enough that many uploads fit in memory.
const CHUNK: usize = 128 << 10;

/// An open source of known length.
#[derive(Debug)]
pub(super) enum Source {
    Bytes(Bytes),
    File(OpenFile),
}

/// A plain file and what it was like when it was opened.
#[derive(Debug)]
pub(super) struct OpenFile {
    file: File,
    length: u64,
    modified: Option<SystemTime>,
}

/// A source could not be handed out.
#[derive(Debug)]
pub(super) enum Fault {
    /// Reading failed.
    Read(io::Error),
    /// It is no longer what was opened.
    Changed { expected: u64, found: u64 },
    /// Whoever takes the bytes failed.
    Sink(io::Error),
}

impl Source {
    /// Opens a source. Blocks.
    pub(super) fn open(source: &ArtifactSource) -> io::Result<Self> {
        match source {
            ArtifactSource::Bytes(bytes) => Ok(Self::Bytes(bytes.clone())),
            ArtifactSource::File(path) => Self::of_file(plain_file::open(path)?),
            ArtifactSource::FileWithoutLinks(path) => {
                Self::of_file(runtime_ioext::open_without_symlinks(path)?)
            }
        }
    }

    /// Takes over an open file.
    pub(super) fn of_file(file: File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        Ok(Self::File(OpenFile {
            file,
            length: metadata.len(),
            modified: metadata.modified().ok(),
        }))
    }

    /// How many bytes it has.
    pub(super) fn length(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File(file) => file.length,
        }
    }

    /// Hands all bytes to `sink`, from the first to the last. Blocks.
    ///
    /// The last chunk is handed out only when the source is known to be unchanged, so that nobody takes
    /// what comes of a changed one for whole.
    pub(super) fn read(&self, mut sink: impl FnMut(Bytes) -> io::Result<()>) -> Result<(), Fault> {
        match self {
            Self::Bytes(bytes) => chunks_of(bytes).try_for_each(sink).map_err(Fault::Sink),
            Self::File(file) => file.read(&mut sink),
        }
    }
}

impl OpenFile {
    fn read(&self, sink: &mut impl FnMut(Bytes) -> io::Result<()>) -> Result<(), Fault> {
        (&self.file).rewind().map_err(Fault::Read)?;
        let (mut found, mut held) = (0, Bytes::new());
        loop {
            let chunk = read_chunk(&self.file).map_err(Fault::Read)?;
            if chunk.is_empty() {
                break;
            }
            found += chunk.len() as u64;
            if found > self.length {
                return Err(self.changed(found));
            }
            let ready = std::mem::replace(&mut held, chunk);
            if !ready.is_empty() {
                sink(ready).map_err(Fault::Sink)?;
            }
        }
        self.check_unchanged(found)?;
        if held.is_empty() {
            Ok(())
        } else {
            sink(held).map_err(Fault::Sink)
        }
    }

    fn check_unchanged(&self, found: u64) -> Result<(), Fault> {
        let modified = self.file.metadata().map_err(Fault::Read)?.modified().ok();
        match found == self.length && modified == self.modified {
            true => Ok(()),
            false => Err(self.changed(found)),
        }
    }

    fn changed(&self, found: u64) -> Fault {
        Fault::Changed {
            expected: self.length,
            found,
        }
    }
}

/// Reads one full chunk; less only at the end.
fn read_chunk(mut file: &File) -> io::Result<Bytes> {
    let mut chunk = Vec::with_capacity(CHUNK);
    (&mut file).take(CHUNK as u64).read_to_end(&mut chunk)?;
    Ok(chunk.into())
}

/// Cuts bytes into chunks without copying.
fn chunks_of(bytes: &Bytes) -> impl Iterator<Item = Bytes> + '_ {
    let starts = (0..bytes.len()).step_by(CHUNK);
    starts.map(|start| bytes.slice(start..bytes.len().min(start + CHUNK)))
}
