//! The properties of a body, from the headers of a response.

use http::HeaderMap;
use http::header::{ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, ETAG};
use url::Url;

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
    /// The URL of the response, which the entity tag belongs to.
    pub(crate) resource: ResourceUrl,
}

/// The URL of a response without its query.
///
/// An entity tag identifies bytes among those of one resource only: two mirrors may use one tag for different bytes. The
/// query is left out because it differs between two signed URLs of one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ResourceUrl(Url);

/// A range of a body to request, with the properties that the whole body had in an earlier response.
#[derive(Clone)]
pub(crate) struct RangeRequest {
    pub(crate) start: u64,
    /// The offset after the last byte; `None` for the end of the body.
    pub(crate) end: Option<u64>,
    /// The length of the whole body, if it was announced.
    pub(crate) total: Option<u64>,
    pub(crate) encoding: Encoding,
    /// The entity tag of the body.
    pub(crate) validator: String,
    pub(crate) resource: ResourceUrl,
}

impl ResourceUrl {
    pub(crate) fn new(url: &Url) -> Self {
        let mut url = url.clone();
        url.set_query(None);
        Self(url)
    }
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
    pub(super) fn of_whole(headers: &HeaderMap, url: &Url) -> Result<Self, AttemptError> {
        // Some servers answer a part of the body with status 200, which only `Content-Range` reveals.
        if headers.contains_key(CONTENT_RANGE)
            && !content_range(headers).is_some_and(|range| range.is_whole())
        {
            return Err(AttemptError::RangeMismatch);
        }
        Ok(Self {
            // Of the encoded body: `Content-Length` counts the bytes on the connection.
            total: header(headers, CONTENT_LENGTH).and_then(|text| text.parse().ok()),
            encoding: Encoding::of(headers)?,
            validator: strong_validator(headers),
            accepts_ranges: header(headers, ACCEPT_RANGES)
                .is_some_and(|units| units.trim() == "bytes"),
            resource: ResourceUrl::new(url),
        })
    }

    /// Reads the headers of a partial response (206) and returns the offset after its last byte.
    ///
    /// The bytes are appended to those of an earlier response, so the headers have to prove that both belong to one
    /// body. A server that implements `If-Range` answers 200 when the body has changed, but some ignore the header.
    /// RFC 9110 requires `ETag` in the response if the whole body has one.
    pub(super) fn of_range(
        headers: &HeaderMap,
        url: &Url,
        requested: &RangeRequest,
    ) -> Result<(Self, u64), AttemptError> {
        let range = content_range(headers).ok_or(AttemptError::RangeMismatch)?;
        let metadata = Self {
            total: Some(range.total),
            encoding: Encoding::of(headers)?,
            validator: strong_validator(headers),
            accepts_ranges: true,
            resource: ResourceUrl::new(url),
        };
        if range.start == requested.start
            && requested.end.is_none_or(|end| range.end <= end)
            && requested.total.is_none_or(|total| total == range.total)
            && metadata.validator.as_ref() == Some(&requested.validator)
            && metadata.encoding == requested.encoding
            && metadata.resource == requested.resource
        {
            Ok((metadata, range.end))
        } else {
            Err(AttemptError::RangeMismatch)
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

    /// Returns the name in `Content-Encoding`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Gzip => "gzip",
            #[cfg(feature = "zstd")]
            Self::Zstd => "zstd",
            #[cfg(feature = "brotli")]
            Self::Brotli => "br",
        }
    }

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

/// The bytes of a partial response: `Content-Range: bytes 5-8/10` has the start 5, the end 9 and the total 10.
struct ContentRange {
    start: u64,
    end: u64,
    total: u64,
}

impl ContentRange {
    fn is_whole(&self) -> bool {
        self.start == 0 && self.end == self.total
    }
}

/// Parses `Content-Range`. Without a total (`bytes 5-8/*`), the header does not show whether more bytes follow.
fn content_range(headers: &HeaderMap) -> Option<ContentRange> {
    let range = header(headers, CONTENT_RANGE)?
        .trim()
        .strip_prefix("bytes ")?;
    let (range, total) = range.split_once('/')?;
    let (start, last) = range.split_once('-')?;
    let start: u64 = start.trim().parse().ok()?;
    let end = last.trim().parse::<u64>().ok()?.checked_add(1)?;
    let total = total.trim().parse().ok()?;
    (start < end && end <= total).then_some(ContentRange { start, end, total })
}
