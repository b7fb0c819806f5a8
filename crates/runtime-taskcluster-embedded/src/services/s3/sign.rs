//! URLs that allow one thing for some time.

use std::fmt::Write as _;

use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::ExposeSecret;

use super::error::S3Error;
use crate::api::text;
use crate::credentials::{hmac, same};
use crate::shared::Shared;

/// The bucket that everybody may read.
pub(crate) const PUBLIC: &str = "public-bucket";
/// The bucket that takes a signature to read.
pub(crate) const PRIVATE: &str = "private-bucket";

/// The bucket for artifacts of that name.
pub(crate) fn bucket_of(artifact: &str) -> &'static str {
    if artifact.starts_with("public/") {
        PUBLIC
    } else {
        PRIVATE
    }
}

/// What a URL allows, and until when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grant<'a> {
    pub(crate) verb: &'a str,
    /// Bucket and key.
    pub(crate) key: &'a str,
    pub(crate) expires: Timestamp,
    /// The request must have this content type, if one is given.
    pub(crate) content_type: Option<&'a str>,
    /// The request must have this content length, if one is given.
    pub(crate) content_length: Option<&'a str>,
}

const EXPIRES: &str = "X-Amz-Expires-At";
const HEADERS: &str = "X-Amz-SignedHeaders";
const SIGNATURE: &str = "X-Amz-Signature";

/// What stays as it is in a path.
pub(crate) const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'/');

impl<'a> Grant<'a> {
    /// To read.
    pub(crate) fn download(key: &'a str, expires: Timestamp) -> Self {
        let (content_type, content_length) = (None, None);
        Self {
            verb: "GET",
            key,
            expires,
            content_type,
            content_length,
        }
    }

    /// The URL of something in the public bucket.
    pub(crate) fn open_url(shared: &Shared, key: &str) -> String {
        format!("{}/{}", shared.root_url, utf8_percent_encode(key, PATH))
    }

    /// The URL that carries the grant.
    pub(crate) fn url(&self, shared: &Shared) -> String {
        let expires = self.expires.as_millisecond();
        let signature = self.signature(shared);
        let mut headers = String::new();
        for (name, value) in [
            ("content-length", self.content_length),
            ("content-type", self.content_type),
        ] {
            if value.is_some() {
                headers += name;
                headers += "%3B";
            }
        }
        let open = Self::open_url(shared, self.key);
        format!("{open}?{EXPIRES}={expires}&{HEADERS}={headers}host&{SIGNATURE}={signature}")
    }

    fn signature(&self, shared: &Shared) -> String {
        let text = format!(
            "{}\n{}\n{}\n{:?}\n{:?}",
            self.verb,
            self.key,
            self.expires.as_millisecond(),
            self.content_type,
            self.content_length
        );
        let mut hex = String::new();
        for byte in hmac(shared.url_key.expose_secret(), &text) {
            let _ = write!(hex, "{byte:02x}");
        }
        hex
    }
}

/// Tells whether a query carries a grant at all.
pub(crate) fn is_signed(query: &[(String, String)]) -> bool {
    query.iter().any(|(name, _)| name == SIGNATURE)
}

/// Checks the grant that a query carries.
pub(crate) fn check(
    shared: &Shared,
    verb: &str,
    key: &str,
    query: &[(String, String)],
    headers: &HeaderMap,
) -> Result<(), S3Error> {
    let get = |name: &str| {
        query
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    };
    let (Some(expires), Some(signed), Some(signature)) =
        (get(EXPIRES), get(HEADERS), get(SIGNATURE))
    else {
        return Err(S3Error::AccessDenied("the URL is not signed"));
    };
    let expires = expires
        .parse()
        .ok()
        .and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let expires = expires.ok_or(S3Error::AccessDenied("the expiry is malformed"))?;
    let signed_header = |name| signed.split(';').any(|header| header == name);
    let header = |name| text(headers, name).unwrap_or_default();
    let grant = Grant {
        verb,
        key,
        expires,
        content_type: signed_header("content-type").then(|| header(CONTENT_TYPE)),
        content_length: signed_header("content-length").then(|| header(CONTENT_LENGTH)),
    };
    if !same(&grant.signature(shared), signature) {
        return Err(S3Error::SignatureDoesNotMatch);
    }
    match expires > shared.now() {
        true => Ok(()),
        false => Err(S3Error::AccessDenied("Request has expired")),
    }
}
