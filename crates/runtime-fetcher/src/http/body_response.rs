//! A response with a body, or with a range of one.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::header::{ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, ETAG};
use jiff::Timestamp;
use runtime_http::reqwest::Response;
use runtime_http::{read_error_body, retry_after};
use tokio::time::Instant;

use super::throughput_window::ThroughputWindow;
use crate::attempt_error::AttemptError;
use crate::config::FetchConfig;

/// The bytes of an error body that are kept for the message.
const MAX_ERROR_BODY_BYTES: usize = 8 * 1024;

/// A response whose body is being received.
pub(crate) struct BodyResponse {
    response: Response,
    throughput: ThroughputWindow,
    /// The offset of the first byte in the whole body.
    pub(crate) start: u64,
    /// The offset after the last byte in the whole body, if announced.
    end: Option<u64>,
    pub(crate) metadata: BodyMetadata,
}

/// Properties of a whole body, from the headers of a response.
#[derive(Clone)]
pub(crate) struct BodyMetadata {
    /// The length before decoding.
    pub(crate) total: Option<u64>,
    pub(crate) encoding: Encoding,
    /// The strong entity tag, which identifies exactly these bytes. Without one, a body cannot be resumed.
    pub(crate) validator: Option<String>,
    pub(crate) accepts_ranges: bool,
}

/// A range of a body to request.
#[derive(Clone)]
pub(crate) struct RangeRequest {
    pub(crate) start: u64,
    /// The offset after the last byte; `None` for the end of the body.
    pub(crate) end: Option<u64>,
    /// The length of the whole body, as announced by an earlier response.
    pub(crate) total: Option<u64>,
    /// The entity tag of the body.
    pub(crate) validator: String,
}

/// The content encoding of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Identity,
    Gzip,
    #[cfg(feature = "zstd")]
    Zstd,
    #[cfg(feature = "brotli")]
    Brotli,
}

impl BodyResponse {
    pub(super) fn whole(response: Response) -> Result<Self, AttemptError> {
        let headers = response.headers();
        let metadata = BodyMetadata {
            // Of the encoded body: `Content-Length` counts the bytes on the connection.
            total: header(headers, CONTENT_LENGTH).and_then(|text| text.parse().ok()),
            encoding: Encoding::of(headers)?,
            validator: strong_validator(headers),
            accepts_ranges: header(headers, ACCEPT_RANGES)
                .is_some_and(|units| units.trim() == "bytes"),
        };
        Ok(Self {
            response,
            throughput: ThroughputWindow::default(),
            start: 0,
            end: metadata.total,
            metadata,
        })
    }

    /// Accepts a partial response (206) if it is the requested range of the same body.
    pub(super) fn partial(
        response: Response,
        range: Option<&RangeRequest>,
    ) -> Result<Self, AttemptError> {
        let headers = response.headers();
        let range = range.ok_or(AttemptError::RangeMismatch)?;
        let (start, total) = content_range(headers).ok_or(AttemptError::RangeMismatch)?;
        let validator = strong_validator(headers);
        // A server that implements `If-Range` answers 200 when the body has changed. Some servers ignore the header,
        // so the entity tag and the length are compared here as well.
        let is_same_body = validator
            .as_ref()
            .is_none_or(|validator| *validator == range.validator);
        if start != range.start || total != range.total || !is_same_body {
            return Err(AttemptError::RangeMismatch);
        }
        let metadata = BodyMetadata {
            total,
            encoding: Encoding::of(headers)?,
            validator: Some(range.validator.clone()),
            accepts_ranges: true,
        };
        Ok(Self {
            response,
            throughput: ThroughputWindow::default(),
            start,
            // The requested end, not that of `Content-Range`: the server may send less, but must not send more.
            end: range.end.or(metadata.total),
            metadata,
        })
    }

    /// Returns the next chunk after the first `received` bytes of the whole body, or `None` at the end.
    ///
    /// Never returns bytes beyond the announced end, so that a caller that buffers a range can rely on its length.
    pub(crate) async fn chunk(
        &mut self,
        received: u64,
        config: &FetchConfig,
    ) -> Result<Option<Bytes>, AttemptError> {
        let (timeout, asked) = (config.stall_timeout, Instant::now());
        match tokio::time::timeout(timeout, self.response.chunk()).await {
            Ok(Ok(Some(chunk))) => {
                let bytes = chunk.len() as u64;
                // Only the wait for this chunk counts: between two calls the target stores the previous one.
                self.throughput
                    .count(bytes, asked.elapsed(), &config.min_throughput)?;
                match self.end {
                    Some(end) if received + bytes > end => Err(AttemptError::TooLong { end }),
                    _ => Ok(Some(chunk)),
                }
            }
            Ok(Ok(None)) => Ok(None),
            Ok(Err(error)) => Err(AttemptError::Interrupted {
                received,
                source: error.without_url().into(),
            }),
            Err(_) => Err(AttemptError::Stalled { timeout }),
        }
    }
}

impl Encoding {
    /// The value of `Accept-Encoding`.
    pub(super) const ACCEPTED: &'static str =
        match (cfg!(feature = "zstd"), cfg!(feature = "brotli")) {
            (false, false) => "gzip",
            (true, false) => "zstd, gzip",
            (false, true) => "br, gzip",
            (true, true) => "zstd, br, gzip",
        };

    fn of(headers: &HeaderMap) -> Result<Self, AttemptError> {
        let text = header(headers, CONTENT_ENCODING).unwrap_or_default();
        match text.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Ok(Self::Identity),
            "gzip" | "x-gzip" => Ok(Self::Gzip),
            #[cfg(feature = "zstd")]
            "zstd" => Ok(Self::Zstd),
            #[cfg(feature = "brotli")]
            "br" => Ok(Self::Brotli),
            _ => Err(AttemptError::UnknownEncoding {
                // The server chooses the length of a header.
                encoding: text.chars().take(40).collect(),
            }),
        }
    }
}

/// Reads the start of an error body and returns the error of the response.
pub(super) async fn read_error(response: Response, timeout: Duration) -> AttemptError {
    let status = response.status().as_u16();
    let retry_after = retry_after(response.headers(), Timestamp::now());
    let body = read_error_body(response, MAX_ERROR_BODY_BYTES, timeout).await;
    AttemptError::Status {
        status,
        retry_after,
        body: String::from_utf8_lossy(&body).into_owned(),
    }
}

fn header(headers: &HeaderMap, name: http::HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Returns a strong entity tag. A weak one (`W/"…"`) also matches equivalent bodies with other bytes.
fn strong_validator(headers: &HeaderMap) -> Option<String> {
    let tag = header(headers, ETAG)?.trim();
    (tag.starts_with('"') && tag.ends_with('"') && tag.len() > 2).then(|| tag.to_owned())
}

/// Parses start and total of `Content-Range: bytes 5-9/10`.
fn content_range(headers: &HeaderMap) -> Option<(u64, Option<u64>)> {
    let range = header(headers, CONTENT_RANGE)?
        .trim()
        .strip_prefix("bytes ")?;
    let (range, total) = range.split_once('/')?;
    let (start, _) = range.split_once('-')?;
    let total = match total {
        "*" => None,
        digits => Some(digits.parse().ok()?),
    };
    Some((start.trim().parse().ok()?, total))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http_body_util::StreamBody;
    use hyper::body::Frame;

    use super::*;

    /// Creates a body of `bytes` bytes, one after each pause.
    fn dripping(pause: Duration, bytes: usize) -> BodyResponse {
        let drips = futures_util::stream::unfold(0, move |sent| async move {
            if sent == bytes {
                return None;
            }
            tokio::time::sleep(pause).await;
            let frame = Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"x")));
            Some((frame, sent + 1))
        });
        let body = runtime_http::reqwest::Body::wrap(StreamBody::new(Box::pin(drips)));
        BodyResponse::whole(http::Response::new(body).into()).expect("no encoding")
    }

    /// Reads to the end, and spends some time on each chunk.
    async fn read(mut response: BodyResponse, per_chunk: Duration) -> Result<u64, AttemptError> {
        let (config, mut received) = (FetchConfig::default(), 0);
        while let Some(chunk) = response.chunk(received, &config).await? {
            received += chunk.len() as u64;
            tokio::time::sleep(per_chunk).await;
        }
        Ok(received)
    }

    #[tokio::test(start_paused = true)]
    async fn dripping_server_is_dropped_after_a_window() {
        let start = Instant::now();
        let cause = read(dripping(Duration::from_secs(20), 1000), Duration::ZERO).await;
        let Err(AttemptError::TooSlow { bytes: 3, window }) = cause else {
            panic!("{cause:?}")
        };
        assert_eq!((window.as_secs(), start.elapsed().as_secs()), (60, 60));
    }

    #[tokio::test(start_paused = true)]
    async fn slow_target_does_not_count_against_the_server() {
        let response = dripping(Duration::from_millis(1), 1000);
        let read = read(response, Duration::from_secs(59)).await;
        assert_eq!(read.expect("body is complete"), 1000);
    }

    #[tokio::test(start_paused = true)]
    async fn body_shorter_than_a_window_may_be_slow() {
        let read = read(dripping(Duration::from_secs(29), 2), Duration::ZERO).await;
        assert_eq!(read.expect("body is complete"), 2);
    }
}
