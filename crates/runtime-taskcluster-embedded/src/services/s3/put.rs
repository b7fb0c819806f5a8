//! Uploads: the body is written to a file, which is added to the store when it is complete.

use std::path::Path;

use bytes::Bytes;
use http::HeaderMap;
use http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH,
    CONTENT_TYPE, ETAG, HeaderName, HeaderValue,
};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::{Request, Response};
use tokio::fs::File;
use tokio::io::AsyncWriteExt;

use super::error::S3Error;
use super::presign;
use crate::body::{self, Body};
use crate::context::ServerContext;
use crate::request::header_text;
use crate::state::blobs::Blob;

/// The headers of an upload that are stored, and returned by downloads, as by S3.
const STORED_HEADERS: [HeaderName; 5] = [
    CACHE_CONTROL,
    CONTENT_DISPOSITION,
    CONTENT_ENCODING,
    CONTENT_LANGUAGE,
    CONTENT_TYPE,
];

/// The largest upload that is stored at once, in bytes.
const MAX_SMALL_SIZE: u64 = 64 * 1024;

/// The largest write to the file, in bytes.
const MAX_WRITE_SIZE: usize = 1024 * 1024;

pub(super) async fn put(
    context: &ServerContext,
    key: String,
    query: &[(String, String)],
    request: Request<Incoming>,
) -> Result<Response<Body>, S3Error> {
    presign::verify(context, "PUT", &key, query, request.headers())?;
    // Before the body fills the disk further.
    context
        .check_storage()
        .map_err(|_| S3Error::InternalError)?;
    let length = header_text(request.headers(), CONTENT_LENGTH);
    let length = length.and_then(|length| length.parse().ok());
    // The blob owns the file: if the upload fails or is dropped, the file is removed.
    let mut blob = Blob::new(
        context.new_file(),
        length.ok_or(S3Error::MissingContentLength)?,
        &stored_headers(request.headers()),
    );
    let body = request.into_body();
    let written = if blob.len <= MAX_SMALL_SIZE {
        // The client may send more or less than the length of the header.
        let body = collect(body).await?;
        context
            .fill(&mut blob, &body)
            .map_err(|_| S3Error::InternalError)?;
        body.len() as u64
    } else {
        write(&blob.path, body).await?
    };
    // The client may have closed the connection early. S3 does not store a partial upload either.
    if written != blob.len {
        return Err(S3Error::IncompleteBody);
    }
    let etag = HeaderValue::from_str(&blob.etag());
    context
        .put_blob(key, blob)
        .map_err(|_| S3Error::InternalError)?;
    let mut response = Response::new(body::empty());
    response
        .headers_mut()
        .extend(etag.ok().map(|etag| (ETAG, etag)));
    Ok(response)
}

fn stored_headers(request: &HeaderMap) -> HeaderMap {
    let stored = STORED_HEADERS.into_iter().filter_map(|name| {
        let value = request.get(&name)?.clone();
        // `aws-chunked` is the encoding of the request, not of the artifact.
        (value != "aws-chunked").then_some((name, value))
    });
    stored.collect()
}

async fn collect(body: Incoming) -> Result<Bytes, S3Error> {
    let body = Limited::new(body, MAX_SMALL_SIZE as usize).collect().await;
    Ok(body.map_err(|_| S3Error::IncompleteBody)?.to_bytes())
}

async fn write(path: &Path, mut body: Incoming) -> Result<u64, S3Error> {
    let mut file = File::create(path)
        .await
        .map_err(|_| S3Error::InternalError)?;
    file.set_max_buf_size(MAX_WRITE_SIZE);
    let mut written = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| S3Error::IncompleteBody)?;
        if let Ok(data) = frame.into_data() {
            written += data.len() as u64;
            file.write_all(&data)
                .await
                .map_err(|_| S3Error::InternalError)?;
        }
    }
    // tokio writes in the background. Only a flush reports whether the last write failed.
    file.flush().await.map_err(|_| S3Error::InternalError)?;
    Ok(written)
}
