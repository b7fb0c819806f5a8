//! The source of a named artifact, and its errors.

use std::io;
use std::sync::Arc;

use runtime_core::artifact::{ArtifactSource, UploadError};

use super::deliver::DeliverError;
use super::source::{Source, SourceError, run_blocking};

/// An artifact's source with the artifact's name, for errors.
pub(super) struct NamedSource<'a> {
    pub(super) name: &'a str,
    pub(super) source: &'a ArtifactSource,
}

impl NamedSource<'_> {
    pub(super) async fn open(&self) -> Result<Arc<Source>, UploadError> {
        if let ArtifactSource::Bytes(bytes) = self.source {
            return Ok(Arc::new(Source::Bytes(bytes.clone())));
        }
        let source = self.source.clone();
        let opened = run_blocking(move || Source::open(&source)).await;
        opened.map(Arc::new).map_err(|error| self.read_error(error))
    }

    pub(super) fn deliver_error(&self, error: DeliverError) -> UploadError {
        match error {
            DeliverError::Store(error) => error,
            DeliverError::Source(error) => self.source_error(error),
        }
    }

    pub(super) fn source_error(&self, error: SourceError) -> UploadError {
        let name = self.name.to_owned();
        match error {
            SourceError::Read(source) => self.read_error(source),
            SourceError::Changed { expected, found } => UploadError::Changed {
                name,
                expected,
                found,
            },
            SourceError::Sink(source) => UploadError::Send {
                name,
                attempts: 0,
                is_permanent: false,
                source: Box::new(SpoolError(source)),
            },
        }
    }

    fn read_error(&self, source: io::Error) -> UploadError {
        let path = match self.source {
            ArtifactSource::File(path) | ArtifactSource::FileWithoutLinks(path) => {
                Some(path.clone())
            }
            ArtifactSource::Bytes(_) | ArtifactSource::Stream(_) => None,
        };
        UploadError::Read {
            name: self.name.to_owned(),
            path,
            source,
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("cannot store a compressed copy; check the disk space of the temporary folder")]
struct SpoolError(#[source] io::Error);
