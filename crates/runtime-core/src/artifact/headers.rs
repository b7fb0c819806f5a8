//! Additional headers of S3 artifacts.

use http::header::InvalidHeaderValue;
use http::{HeaderMap, HeaderName, HeaderValue};

/// The headers that S3 stores and returns, and that no other setting of an artifact determines.
const ALLOWED_HEADERS: [&str; 3] = ["cache-control", "content-disposition", "content-language"];

/// Additional headers of an [`S3Artifact`](super::S3Artifact), which are stored with its bytes and returned to readers:
/// `cache-control`, `content-disposition` and `content-language`.
///
/// Content type and encoding are fields of the artifact. The queue signs the upload URL for the content type only, so
/// these headers are sent without a signature, which S3 accepts. S3 refuses unsigned headers that start with `x-amz-`,
/// and ignores all others.
///
/// ```
/// # use runtime_core::artifact::ArtifactHeaders;
/// let headers = ArtifactHeaders::new()
///     .with("content-disposition", "attachment; filename=\"firefox.exe\"")?
///     .with("cache-control", "max-age=3600")?;
/// assert_eq!(headers.as_map().len(), 2);
///
/// let error = ArtifactHeaders::new().with("x-amz-acl", "public-read").unwrap_err();
/// assert!(error.to_string().starts_with("header `x-amz-acl` is not supported for artifacts"));
/// # Ok::<(), runtime_core::artifact::InvalidArtifactHeader>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArtifactHeaders(HeaderMap);

impl ArtifactHeaders {
    /// Creates an empty set of headers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a header, and replaces an earlier value. The name is case-insensitive.
    ///
    /// # Errors
    ///
    /// An [`InvalidArtifactHeader`] for an unsupported name or an invalid value.
    pub fn with(mut self, name: &str, value: &str) -> Result<Self, InvalidArtifactHeader> {
        let parsed = HeaderName::try_from(name).ok();
        let parsed = parsed.filter(|name| ALLOWED_HEADERS.contains(&name.as_str()));
        let name = parsed.ok_or_else(|| InvalidArtifactHeader::UnsupportedName {
            name: name.to_owned(),
        })?;
        let value =
            HeaderValue::try_from(value).map_err(|source| InvalidArtifactHeader::InvalidValue {
                name: name.to_string(),
                source,
            })?;
        self.0.insert(name, value);
        Ok(self)
    }

    /// Returns the headers, for uploaders.
    #[must_use]
    pub fn as_map(&self) -> &HeaderMap {
        &self.0
    }
}

/// The error of adding a header to [`ArtifactHeaders`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidArtifactHeader {
    /// S3 would refuse or ignore the header, or another setting determines it.
    #[error(
        "header `{name}` is not supported for artifacts; use one of `{}`",
        ALLOWED_HEADERS.join("`, `")
    )]
    UnsupportedName {
        /// The name.
        name: String,
    },

    /// The value is not one line of ASCII.
    #[error("invalid value of artifact header `{name}`: use visible ASCII characters only")]
    InvalidValue {
        /// The name.
        name: String,
        /// The reason.
        source: InvalidHeaderValue,
    },
}
