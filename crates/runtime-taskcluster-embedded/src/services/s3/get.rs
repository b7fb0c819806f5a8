//! Downloads of whole blobs and of byte ranges.

use std::io::SeekFrom;
use std::ops::Range;
use std::sync::Arc;

use http::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName, HeaderValue,
    IF_RANGE, RANGE,
};
use http::{HeaderMap, StatusCode};
use hyper::body::Incoming;
use hyper::{Method, Request, Response};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use super::error::S3Error;
use super::presign;
use crate::body::{self, Body};
use crate::context::ServerContext;
use crate::request::header_text;
use crate::state::blobs::Blob;

pub(super) async fn get(
    context: &ServerContext,
    key: &str,
    query: &[(String, String)],
    request: &Request<Incoming>,
) -> Result<Response<Body>, S3Error> {
    // `t/` has the objects, which require a signature although they are in the public bucket.
    let is_public = key.starts_with(presign::PUBLIC_BUCKET) && !key.starts_with("public-bucket/t/");
    if !is_public || presign::is_signed(query) {
        presign::verify(context, "GET", key, query, request.headers())?;
    }
    let blob = context
        .read(|state| state.blobs.get(key))
        .ok_or(S3Error::NoSuchKey)?;
    let (status, range) = match requested_range(request.headers(), &blob) {
        RequestedRange::Full => (StatusCode::OK, 0..blob.len),
        RequestedRange::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        RequestedRange::Unsatisfiable => return Err(S3Error::InvalidRange),
    };
    let mut response = Response::new(body::empty());
    *response.status_mut() = status;
    set_headers(response.headers_mut(), &blob, &range, status);
    if request.method() != Method::HEAD {
        *response.body_mut() = read(blob, range).await?;
    }
    Ok(response)
}

fn set_headers(headers: &mut HeaderMap, blob: &Blob, range: &Range<u64>, status: StatusCode) {
    let mut set = |name: HeaderName, value: &str| {
        headers.extend(HeaderValue::from_str(value).ok().map(|value| (name, value)));
    };
    // The body is a stream: without this header hyper would send it in chunks.
    set(CONTENT_LENGTH, &(range.end - range.start).to_string());
    set(CONTENT_TYPE, "binary/octet-stream");
    set(ETAG, &blob.etag());
    set(ACCEPT_RANGES, "bytes");
    if status == StatusCode::PARTIAL_CONTENT {
        let last = range.end.saturating_sub(1);
        set(
            CONTENT_RANGE,
            &format!("bytes {}-{last}/{}", range.start, blob.len),
        );
    }
    // Replaces the default content type.
    headers.extend(blob.headers());
}

async fn read(blob: Arc<Blob>, range: Range<u64>) -> Result<Body, S3Error> {
    if let Some(bytes) = blob.in_memory() {
        return Ok(body::full(
            bytes.slice(range.start as usize..range.end as usize),
        ));
    }
    let mut file = File::open(&blob.path)
        .await
        .map_err(|_| S3Error::InternalError)?;
    file.seek(SeekFrom::Start(range.start))
        .await
        .map_err(|_| S3Error::InternalError)?;
    Ok(body::stream(file.take(range.end - range.start), blob))
}

/// The range of a blob that a request asks for.
#[derive(Debug, PartialEq)]
enum RequestedRange {
    Full,
    Part(Range<u64>),
    Unsatisfiable,
}

fn requested_range(headers: &HeaderMap, blob: &Blob) -> RequestedRange {
    // A client that resumes a download gets the full blob if it was replaced in between.
    let changed = header_text(headers, IF_RANGE).is_some_and(|tag| tag != blob.etag());
    match header_text(headers, RANGE) {
        Some(range) if !changed => parse_range(range, blob.len),
        _ => RequestedRange::Full,
    }
}

/// Parses a single range. A malformed one is ignored, as RFC 9110 requires, and several may be.
fn parse_range(range: &str, len: u64) -> RequestedRange {
    let Some((first, last)) = range
        .strip_prefix("bytes=")
        .and_then(|range| range.split_once('-'))
    else {
        return RequestedRange::Full;
    };
    let range = match (first.trim().parse::<u64>(), last.trim().parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => first..len.min(last.saturating_add(1)),
        (Ok(first), Err(_)) if last.trim().is_empty() => first..len,
        (Err(_), Ok(count)) if first.trim().is_empty() => len.saturating_sub(count)..len,
        _ => return RequestedRange::Full,
    };
    if range.start < range.end {
        RequestedRange::Part(range)
    } else {
        RequestedRange::Unsatisfiable
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_parsed() {
        for (range, expected) in [
            ("bytes=0-9", RequestedRange::Part(0..10)),
            ("bytes=90-", RequestedRange::Part(90..100)),
            ("bytes=-5", RequestedRange::Part(95..100)),
            ("bytes=50-500", RequestedRange::Part(50..100)),
            ("bytes=100-", RequestedRange::Unsatisfiable),
            ("bytes=9-0", RequestedRange::Full),
            ("lines=1-2", RequestedRange::Full),
            ("bytes=0-1,3-4", RequestedRange::Full),
        ] {
            assert_eq!(parse_range(range, 100), expected, "{range}");
        }
    }
}
