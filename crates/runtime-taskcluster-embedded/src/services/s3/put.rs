//! Uploads: from the wire to a file, and then into the store, whole or not at all.

use std::path::Path;

use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderValue};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{Request, Response};
use tokio::fs::File;
use tokio::io::AsyncWriteExt;

use super::error::S3Error;
use super::sign;
use super::store::Blob;
use crate::api::text;
use crate::body::{self, Body};
use crate::shared::Shared;

/// How much is written to the file at a time.
const CHUNK: usize = 1024 * 1024;

pub(super) async fn put(
    shared: &Shared,
    key: String,
    query: &[(String, String)],
    request: Request<Incoming>,
) -> Result<Response<Body>, S3Error> {
    sign::check(shared, "PUT", &key, query, request.headers())?;
    let header = |name| text(request.headers(), name).map(str::to_owned);
    let length = header(CONTENT_LENGTH).and_then(|length| length.parse().ok());
    // The blob owns the file from now on: an upload that ends early leaves nothing behind.
    let blob = Blob {
        path: shared.new_file(),
        len: length.ok_or(S3Error::MissingContentLength)?,
        content_type: header(CONTENT_TYPE),
        content_encoding: header(CONTENT_ENCODING).filter(|encoding| encoding != "aws-chunked"),
    };
    let written = write(&blob.path, request.into_body()).await?;
    if written != blob.len {
        return Err(S3Error::IncompleteBody);
    }
    let etag = HeaderValue::from_str(&blob.etag());
    drop(shared.update(|state| state.store.put(key, blob)));
    let mut response = Response::new(body::empty());
    response
        .headers_mut()
        .extend(etag.ok().map(|etag| (ETAG, etag)));
    Ok(response)
}

async fn write(path: &Path, mut body: Incoming) -> Result<u64, S3Error> {
    let mut file = File::create(path)
        .await
        .map_err(|_| S3Error::InternalError)?;
    file.set_max_buf_size(CHUNK);
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
    file.flush().await.map_err(|_| S3Error::InternalError)?;
    Ok(written)
}
