//! From bytes as they travel to bytes as they are meant.

use std::io;
use std::pin::pin;

#[cfg(feature = "brotli")]
use async_compression::tokio::bufread::BrotliDecoder;
use async_compression::tokio::bufread::GzipDecoder;
#[cfg(feature = "zstd")]
use async_compression::tokio::bufread::ZstdDecoder;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use futures_util::stream::{self, Stream};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio_util::io::StreamReader;

use super::Halt;
use super::sink::Sink;
use super::wire::Wire;
use crate::AttemptError;
use crate::http::Encoding;

/// How much is decoded at a time: a body that swells is stopped by the sink, not by memory.
const PIECE: usize = 64 * 1024;

/// Brings the whole body into `sink`.
pub(super) async fn pour(wire: &mut Wire<'_>, sink: &mut Sink<'_>) -> Result<(), Halt> {
    match wire.encoding() {
        // Servers name the encoding of empty files as well, and send nothing.
        _ if wire.total() == Some(0) => pour_plain(wire, sink).await,
        Encoding::Identity => pour_plain(wire, sink).await,
        Encoding::Gzip => {
            let mut decoder = GzipDecoder::new(StreamReader::new(Box::pin(chunks(wire))));
            decoder.multiple_members(true);
            pour_decoded(decoder, "gzip", sink).await
        }
        #[cfg(feature = "zstd")]
        Encoding::Zstd => {
            let mut decoder = ZstdDecoder::new(StreamReader::new(Box::pin(chunks(wire))));
            decoder.multiple_members(true);
            pour_decoded(decoder, "zstd", sink).await
        }
        #[cfg(feature = "brotli")]
        Encoding::Brotli => {
            let decoder = BrotliDecoder::new(StreamReader::new(Box::pin(chunks(wire))));
            pour_decoded(decoder, "br", sink).await
        }
    }
}

async fn pour_plain(wire: &mut Wire<'_>, sink: &mut Sink<'_>) -> Result<(), Halt> {
    while let Some(bytes) = wire.next().await? {
        sink.write(bytes).await?;
    }
    Ok(())
}

async fn pour_decoded(
    decoder: impl AsyncRead + Send,
    encoding: &'static str,
    sink: &mut Sink<'_>,
) -> Result<(), Halt> {
    let mut decoder = pin!(decoder);
    let mut piece = BytesMut::new();
    loop {
        piece.reserve(PIECE);
        match decoder.read_buf(&mut piece).await {
            Ok(0) => return Ok(()),
            Ok(_) => sink.write(piece.split().freeze()).await?,
            Err(source) => return Err(unwrap_halt(source, encoding)),
        }
    }
}

/// The wire as a stream, for a decoder that knows only I/O errors.
fn chunks<'a>(wire: &'a mut Wire<'_>) -> impl Stream<Item = io::Result<Bytes>> + Send + 'a {
    stream::unfold(wire, |wire| async {
        let item = wire
            .next()
            .await
            .map_err(|halt| io::Error::other(Wrapped(halt)));
        item.transpose().map(|item| (item, wire))
    })
    .fuse()
}

/// A halt on its way through the decoder.
#[derive(thiserror::Error)]
#[error("the transfer ended")]
struct Wrapped(Halt);

impl std::fmt::Debug for Wrapped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Wrapped")
    }
}

fn unwrap_halt(error: io::Error, encoding: &'static str) -> Halt {
    match error.downcast::<Wrapped>() {
        Ok(Wrapped(halt)) => halt,
        Err(source) => Halt::Failed(AttemptError::Decode { encoding, source }),
    }
}
