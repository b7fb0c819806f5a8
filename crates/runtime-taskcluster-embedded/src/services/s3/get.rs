//! Downloads, whole or a range.

use std::io::SeekFrom;
use std::ops::Range;
use std::sync::Arc;

use http::header::{
    ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName,
    HeaderValue, IF_RANGE, RANGE,
};
use http::{HeaderMap, StatusCode};
use hyper::body::Incoming;
use hyper::{Method, Request, Response};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use super::error::S3Error;
use super::sign;
use super::store::Blob;
use crate::api::text;
use crate::body::{self, Body};
use crate::shared::Shared;

pub(super) async fn get(
    shared: &Shared,
    key: &str,
    query: &[(String, String)],
    request: &Request<Incoming>,
) -> Result<Response<Body>, S3Error> {
    let is_open = key.starts_with(sign::PUBLIC) && !key.starts_with("public-bucket/t/");
    if !is_open || sign::is_signed(query) {
        sign::check(shared, "GET", key, query, request.headers())?;
    }
    let blob = shared
        .read(|state| state.store.get(key))
        .ok_or(S3Error::NoSuchKey)?;
    let range = wanted_range(request.headers(), &blob);
    let (status, range) = match range {
        Wanted::All => (StatusCode::OK, 0..blob.len),
        Wanted::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        Wanted::Nothing => return Err(S3Error::InvalidRange),
    };
    let mut response = Response::new(body::empty());
    *response.status_mut() = status;
    describe(response.headers_mut(), &blob, &range, status);
    if request.method() != Method::HEAD {
        *response.body_mut() = read(blob, range).await?;
    }
    Ok(response)
}

fn describe(headers: &mut HeaderMap, blob: &Blob, range: &Range<u64>, status: StatusCode) {
    let mut set = |name: HeaderName, value: &str| {
        headers.extend(HeaderValue::from_str(value).ok().map(|value| (name, value)));
    };
    set(CONTENT_LENGTH, &(range.end - range.start).to_string());
    set(
        CONTENT_TYPE,
        blob.content_type
            .as_deref()
            .unwrap_or("binary/octet-stream"),
    );
    set(ETAG, &blob.etag());
    set(ACCEPT_RANGES, "bytes");
    if let Some(encoding) = &blob.content_encoding {
        set(CONTENT_ENCODING, encoding);
    }
    if status == StatusCode::PARTIAL_CONTENT {
        let last = range.end.saturating_sub(1);
        set(
            CONTENT_RANGE,
            &format!("bytes {}-{last}/{}", range.start, blob.len),
        );
    }
}

async fn read(blob: Arc<Blob>, range: Range<u64>) -> Result<Body, S3Error> {
    let mut file = File::open(&blob.path)
        .await
        .map_err(|_| S3Error::InternalError)?;
    file.seek(SeekFrom::Start(range.start))
        .await
        .map_err(|_| S3Error::InternalError)?;
    Ok(body::stream(file.take(range.end - range.start), blob))
}

/// What of a blob a request wants.
#[derive(Debug, PartialEq)]
enum Wanted {
    All,
    Part(Range<u64>),
    Nothing,
}

fn wanted_range(headers: &HeaderMap, blob: &Blob) -> Wanted {
    let changed = text(headers, IF_RANGE).is_some_and(|tag| tag != blob.etag());
    match text(headers, RANGE) {
        Some(range) if !changed => parse_range(range, blob.len),
        _ => Wanted::All,
    }
}

/// Reads a single range; what is not one is ignored, as HTTP demands.
fn parse_range(range: &str, len: u64) -> Wanted {
    let Some((first, last)) = range
        .strip_prefix("bytes=")
        .and_then(|range| range.split_once('-'))
    else {
        return Wanted::All;
    };
    let range = match (first.trim().parse::<u64>(), last.trim().parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => first..len.min(last.saturating_add(1)),
        (Ok(first), Err(_)) if last.trim().is_empty() => first..len,
        (Err(_), Ok(count)) if first.trim().is_empty() => len.saturating_sub(count)..len,
        _ => return Wanted::All,
    };
    if range.start < range.end {
        Wanted::Part(range)
    } else {
        Wanted::Nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_kinds_of_ranges_are_read() {
        for (range, wanted) in [
            ("bytes=0-9", Wanted::Part(0..10)),
            ("bytes=90-", Wanted::Part(90..100)),
            ("bytes=-5", Wanted::Part(95..100)),
            ("bytes=50-500", Wanted::Part(50..100)),
            ("bytes=100-", Wanted::Nothing),
            ("bytes=9-0", Wanted::All),
            ("lines=1-2", Wanted::All),
            ("bytes=0-1,3-4", Wanted::All),
        ] {
            assert_eq!(parse_range(range, 100), wanted, "{range}");
        }
    }
}
