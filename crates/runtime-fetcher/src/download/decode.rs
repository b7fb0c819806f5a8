//! Decoding of content encodings.

use std::io;
use std::pin::Pin;

#[cfg(feature = "zstd")]
use async_compression::tokio::bufread::ZstdDecoder;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use futures_util::stream::{self, Stream};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio_util::io::StreamReader;

#[cfg(feature = "brotli")]
use super::brotli_decoder::BrotliDecoder;
use super::gzip_members::GzipMembers;
use super::pass_error::PassError;
use super::resumable_body::ResumableBody;
use crate::attempt_error::AttemptError;
use crate::http::{BodyMetadata, Encoding};

/// The size of a decoded chunk. It bounds the memory of a body that expands, until the size limit stops it.
const CHUNK_BYTES: usize = 64 * 1024;

/// One pass over a body, decoded.
pub(super) enum DecodedBody<'a, 'b> {
    Plain(&'a mut ResumableBody<'b>),
    Encoded {
        decoder: Pin<Box<dyn AsyncRead + Send + 'a>>,
        encoding: &'static str,
        buffer: BytesMut,
    },
}

impl<'a, 'b> DecodedBody<'a, 'b> {
    pub(super) fn new(body: &'a mut ResumableBody<'b>, metadata: &BodyMetadata) -> Self {
        match metadata.encoding {
            // Some servers declare an encoding for empty files and send no bytes, which no decoder accepts.
            _ if metadata.total == Some(0) => Self::Plain(body),
            Encoding::Identity => Self::Plain(body),
            Encoding::Gzip => {
                let decoder = GzipMembers::new(StreamReader::new(Box::pin(chunks(body))));
                Self::encoded(metadata.encoding, decoder)
            }
            #[cfg(feature = "zstd")]
            Encoding::Zstd => {
                let mut decoder = ZstdDecoder::new(StreamReader::new(Box::pin(chunks(body))));
                decoder.multiple_members(true);
                Self::encoded(metadata.encoding, decoder)
            }
            #[cfg(feature = "brotli")]
            Encoding::Brotli => {
                let decoder = BrotliDecoder::new(StreamReader::new(Box::pin(chunks(body))));
                Self::encoded(metadata.encoding, decoder)
            }
        }
    }

    fn encoded(encoding: Encoding, decoder: impl AsyncRead + Send + 'a) -> Self {
        Self::Encoded {
            decoder: Box::pin(decoder),
            encoding: encoding.as_str(),
            buffer: BytesMut::new(),
        }
    }

    /// Returns the next decoded bytes, or `None` at the end of the body.
    pub(super) async fn next_chunk(&mut self) -> Result<Option<Bytes>, PassError> {
        match self {
            Self::Plain(body) => body.next_chunk().await,
            Self::Encoded {
                decoder,
                encoding,
                buffer,
            } => {
                buffer.reserve(CHUNK_BYTES);
                match decoder.read_buf(buffer).await {
                    Ok(0) => Ok(None),
                    Ok(_) => Ok(Some(buffer.split().freeze())),
                    Err(source) => Err(unwrap_error(source, encoding)),
                }
            }
        }
    }
}

/// Returns the body as a stream of I/O results, as decoders expect it.
fn chunks<'a>(
    body: &'a mut ResumableBody<'_>,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'a {
    stream::unfold(body, |body| async {
        let item = body
            .next_chunk()
            .await
            .map_err(|error| io::Error::other(Wrapped(error)));
        item.transpose().map(|item| (item, body))
    })
    .fuse()
}

/// A pass error inside an I/O error, to carry it through the decoder.
#[derive(Debug, thiserror::Error)]
#[error("the transfer ended")]
struct Wrapped(PassError);

fn unwrap_error(error: io::Error, encoding: &'static str) -> PassError {
    match error.downcast::<Wrapped>() {
        Ok(Wrapped(error)) => error,
        Err(source) => PassError::Failed(AttemptError::Decode { encoding, source }),
    }
}
