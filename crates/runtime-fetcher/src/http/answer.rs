//! What a server answered, as far as fetching needs to know.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::header::{ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, ETAG};
use jiff::Timestamp;
use runtime_http::reqwest::Response;
use runtime_http::{read_error_body, retry_after};
use tokio::time::Instant;

use super::rate::Rate;
use crate::{AttemptError, FetchConfig};

/// The start of an error body that is kept.
const MAX_ERROR_BODY_BYTES: usize = 8 * 1024;

/// A body that comes.
pub(crate) struct Answer {
    response: Response,
    rate: Rate,
    /// Where in the whole body it starts.
    pub(crate) start: u64,
    /// Where in the whole body it ends at the latest, if that is known.
    end: Option<u64>,
    pub(crate) head: Head,
}

/// What a server said of a whole body.
#[derive(Clone)]
pub(crate) struct Head {
    /// Its length, as it travels.
    pub(crate) total: Option<u64>,
    /// How it is encoded.
    pub(crate) encoding: Encoding,
    /// What names exactly these bytes, so that some of them can be asked for.
    pub(crate) validator: Option<String>,
    /// Whether some of them can be asked for.
    pub(crate) takes_ranges: bool,
}

/// Some bytes of a body, and which body that is.
#[derive(Clone)]
pub(crate) struct Part {
    pub(crate) start: u64,
    /// The byte after the last one; `None` for all that follow.
    pub(crate) end: Option<u64>,
    pub(crate) total: Option<u64>,
    pub(crate) validator: String,
}

/// How a body is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Identity,
    Gzip,
    #[cfg(feature = "zstd")]
    Zstd,
    #[cfg(feature = "brotli")]
    Brotli,
}

impl Answer {
    /// The whole body.
    pub(super) fn whole(response: Response) -> Result<Self, AttemptError> {
        let headers = response.headers();
        let head = Head {
            total: header(headers, CONTENT_LENGTH).and_then(|text| text.parse().ok()),
            encoding: Encoding::of(headers)?,
            validator: strong_validator(headers),
            takes_ranges: header(headers, ACCEPT_RANGES)
                .is_some_and(|units| units.trim() == "bytes"),
        };
        Ok(Self {
            response,
            rate: Rate::default(),
            start: 0,
            end: head.total,
            head,
        })
    }

    /// A part of a body, if it is what was asked for.
    pub(super) fn partial(response: Response, part: Option<&Part>) -> Result<Self, AttemptError> {
        let headers = response.headers();
        let part = part.ok_or(AttemptError::NotResumed)?;
        let (start, total) = content_range(headers).ok_or(AttemptError::NotResumed)?;
        let validator = strong_validator(headers);
        // A server that knows `If-Range` never sends a part of something else; some do not know it.
        let same = validator
            .as_ref()
            .is_none_or(|validator| *validator == part.validator);
        if start != part.start || total != part.total || !same {
            return Err(AttemptError::NotResumed);
        }
        let head = Head {
            total,
            encoding: Encoding::of(headers)?,
            validator: Some(part.validator.clone()),
            takes_ranges: true,
        };
        Ok(Self {
            response,
            rate: Rate::default(),
            start,
            end: part.end.or(head.total),
            head,
        })
    }

    /// The next bytes after those `received`, or `None` at the end. More than there should be never come, so
    /// that whoever keeps them knows how many they are at most.
    pub(crate) async fn chunk(
        &mut self,
        received: u64,
        config: &FetchConfig,
    ) -> Result<Option<Bytes>, AttemptError> {
        let (timeout, asked) = (config.stall_timeout, Instant::now());
        match tokio::time::timeout(timeout, self.response.chunk()).await {
            Ok(Ok(Some(chunk))) => {
                let bytes = chunk.len() as u64;
                self.rate.count(bytes, asked.elapsed(), &config.slow)?;
                match self.end {
                    Some(end) if received + bytes > end => Err(AttemptError::Overlong { end }),
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
    /// What `Accept-Encoding` says.
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
                // A header may be as long as a page.
                encoding: text.chars().take(40).collect(),
            }),
        }
    }
}

/// Makes an error of an answer that is not the bytes; of its body, the start is kept.
pub(super) async fn read_failure(response: Response, timeout: Duration) -> AttemptError {
    let status = response.status().as_u16();
    let retry_after = retry_after(response.headers(), Timestamp::now());
    let body = read_error_body(response, MAX_ERROR_BODY_BYTES, timeout).await;
    let body = String::from_utf8_lossy(&body).into_owned();
    AttemptError::Status {
        status,
        retry_after,
        body,
    }
}

fn header(headers: &HeaderMap, name: http::HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// An entity tag that names exact bytes: weak ones (`W/"…"`) do not.
fn strong_validator(headers: &HeaderMap) -> Option<String> {
    let tag = header(headers, ETAG)?.trim();
    (tag.starts_with('"') && tag.ends_with('"') && tag.len() > 2).then(|| tag.to_owned())
}

/// Start and total of `Content-Range: bytes 5-9/10`.
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

    /// A body of one byte after each of so many pauses.
    fn dripping(pause: Duration, bytes: usize) -> Answer {
        let drips = futures_util::stream::unfold(0, move |sent| async move {
            if sent == bytes {
                return None;
            }
            tokio::time::sleep(pause).await;
            let frame = Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"x")));
            Some((frame, sent + 1))
        });
        let body = runtime_http::reqwest::Body::wrap(StreamBody::new(Box::pin(drips)));
        Answer::whole(http::Response::new(body).into()).expect("no encoding")
    }

    /// Reads to the end, and takes some time with each chunk.
    async fn read(mut answer: Answer, taking: Duration) -> Result<u64, AttemptError> {
        let (config, mut received) = (FetchConfig::default(), 0);
        while let Some(chunk) = answer.chunk(received, &config).await? {
            received += chunk.len() as u64;
            tokio::time::sleep(taking).await;
        }
        Ok(received)
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_drips_is_left_after_a_window() {
        let start = Instant::now();
        let cause = read(dripping(Duration::from_secs(20), 1000), Duration::ZERO).await;
        let Err(AttemptError::TooSlow { bytes: 3, window }) = cause else {
            panic!("{cause:?}")
        };
        assert_eq!((window.as_secs(), start.elapsed().as_secs()), (60, 60));
    }

    #[tokio::test(start_paused = true)]
    async fn a_target_that_is_slow_is_not_the_servers_fault() {
        let answer = dripping(Duration::from_millis(1), 1000);
        let read = read(answer, Duration::from_secs(59)).await;
        assert_eq!(read.expect("it is all there"), 1000);
    }

    #[tokio::test(start_paused = true)]
    async fn a_short_body_may_take_its_time() {
        let read = read(dripping(Duration::from_secs(29), 2), Duration::ZERO).await;
        assert_eq!(read.expect("it is all there"), 2);
    }
}
