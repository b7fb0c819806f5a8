//! The properties of a body, from the headers of a response.

use http::HeaderMap;
use http::header::{ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, ETAG};

use crate::attempt_error::AttemptError;

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

impl BodyMetadata {
    /// Reads the headers of a response with the whole body.
    pub(super) fn of_whole(headers: &HeaderMap) -> Result<Self, AttemptError> {
        Ok(Self {
            // Of the encoded body: `Content-Length` counts the bytes on the connection.
            total: header(headers, CONTENT_LENGTH).and_then(|text| text.parse().ok()),
            encoding: Encoding::of(headers)?,
            validator: strong_validator(headers),
            accepts_ranges: header(headers, ACCEPT_RANGES)
                .is_some_and(|units| units.trim() == "bytes"),
        })
    }

    /// Reads the headers of a partial response (206), if it is the requested range of the same body.
    pub(super) fn of_range(
        headers: &HeaderMap,
        range: &RangeRequest,
    ) -> Result<Self, AttemptError> {
        let (start, total) = content_range(headers).ok_or(AttemptError::RangeMismatch)?;
        // A server that implements `If-Range` answers 200 when the body has changed. Some servers ignore the header,
        // so the entity tag and the length are compared here as well.
        let is_same_body =
            strong_validator(headers).is_none_or(|validator| validator == range.validator);
        if start != range.start || total != range.total || !is_same_body {
            return Err(AttemptError::RangeMismatch);
        }
        Ok(Self {
            total,
            encoding: Encoding::of(headers)?,
            validator: Some(range.validator.clone()),
            accepts_ranges: true,
        })
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
