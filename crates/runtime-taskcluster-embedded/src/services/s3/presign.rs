//! Presigned URLs, which allow one method on one key for a limited time.

use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use runtime_core::util::hex;

use super::error::S3Error;
use crate::context::ServerContext;
use crate::credentials::{constant_time_eq, hmac};
use crate::request::{find_value, header_text};

/// The bucket of artifacts that everyone may read.
pub(crate) const PUBLIC_BUCKET: &str = "public-bucket";
/// The bucket of artifacts that require a signature to read.
pub(super) const PRIVATE_BUCKET: &str = "private-bucket";

/// Returns the bucket of an artifact.
pub(crate) fn bucket_of(artifact: &str) -> &'static str {
    if artifact.starts_with("public/") {
        PUBLIC_BUCKET
    } else {
        PRIVATE_BUCKET
    }
}

/// The properties of a presigned URL.
///
/// The query parameters have S3's names, but the signature is simpler than S3's: clients treat the
/// URL as opaque.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PresignedUrl<'a> {
    pub(crate) verb: &'a str,
    /// Bucket and key.
    pub(crate) key: &'a str,
    pub(crate) expires: Timestamp,
    /// The content type that the request must have.
    pub(crate) content_type: Option<&'a str>,
    /// The content length that the request must have.
    pub(crate) content_length: Option<&'a str>,
}

const EXPIRES_PARAM: &str = "X-Amz-Expires-At";
const SIGNED_HEADERS_PARAM: &str = "X-Amz-SignedHeaders";
const SIGNATURE_PARAM: &str = "X-Amz-Signature";

/// The characters to escape in a path: all except unreserved ones and `/`.
pub(crate) const PATH_ESCAPES: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'/');

impl<'a> PresignedUrl<'a> {
    /// Creates a URL for downloads.
    pub(crate) fn download(key: &'a str, expires: Timestamp) -> Self {
        Self {
            verb: "GET",
            key,
            expires,
            content_type: None,
            content_length: None,
        }
    }

    /// Returns the URL of a key in the public bucket, which needs no signature.
    pub(crate) fn unsigned(context: &ServerContext, key: &str) -> String {
        let path = utf8_percent_encode(key, PATH_ESCAPES);
        format!("{}/{path}", context.root_url)
    }

    /// Returns the URL with its signature.
    pub(crate) fn sign(&self, context: &ServerContext) -> String {
        let expires = self.expires.as_millisecond();
        let signature = self.signature(context);
        let mut headers = String::new();
        if self.content_length.is_some() {
            headers += "content-length%3B";
        }
        if self.content_type.is_some() {
            headers += "content-type%3B";
        }
        let url = Self::unsigned(context, self.key);
        format!(
            "{url}?{EXPIRES_PARAM}={expires}&{SIGNED_HEADERS_PARAM}={headers}host&{SIGNATURE_PARAM}={signature}"
        )
    }

    fn signature(&self, context: &ServerContext) -> String {
        let text = format!(
            "{}\n{}\n{}\n{:?}\n{:?}",
            self.verb,
            self.key,
            self.expires.as_millisecond(),
            self.content_type,
            self.content_length
        );
        hex(&hmac(context.url_key.expose(), &text))
    }
}

/// Returns whether a query has a signature.
pub(super) fn is_signed(query: &[(String, String)]) -> bool {
    find_value(query, SIGNATURE_PARAM).is_some()
}

/// Verifies the signature of a request.
pub(super) fn verify(
    context: &ServerContext,
    verb: &str,
    key: &str,
    query: &[(String, String)],
    headers: &HeaderMap,
) -> Result<(), S3Error> {
    let param = |name| find_value(query, name);
    let (Some(expires), Some(signed_headers), Some(signature)) = (
        param(EXPIRES_PARAM),
        param(SIGNED_HEADERS_PARAM),
        param(SIGNATURE_PARAM),
    ) else {
        return Err(S3Error::AccessDenied("the URL is not signed"));
    };
    let expires = expires
        .parse()
        .ok()
        .and_then(|millis| Timestamp::from_millisecond(millis).ok());
    let expires = expires.ok_or(S3Error::AccessDenied("the expiry is malformed"))?;
    let is_signed = |name| signed_headers.split(';').any(|header| header == name);
    let header = |name| header_text(headers, name).unwrap_or_default();
    // Rebuilt from the request: a header that differs from the signed one changes the signature.
    let requested = PresignedUrl {
        verb,
        key,
        expires,
        content_type: is_signed("content-type").then(|| header(CONTENT_TYPE)),
        content_length: is_signed("content-length").then(|| header(CONTENT_LENGTH)),
    };
    if !constant_time_eq(&requested.signature(context), signature) {
        return Err(S3Error::SignatureDoesNotMatch);
    }
    if expires <= context.now() {
        return Err(S3Error::AccessDenied("Request has expired"));
    }
    Ok(())
}
