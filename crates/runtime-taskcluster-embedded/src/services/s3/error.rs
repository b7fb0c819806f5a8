//! Error responses of the S3-like store, in the format of S3.

use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue};
use hyper::Response;

use crate::body::{self, Body};

/// An error of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum S3Error {
    AccessDenied(&'static str),
    SignatureDoesNotMatch,
    NoSuchKey,
    MissingContentLength,
    IncompleteBody,
    InvalidRange,
    MethodNotAllowed,
    InternalError,
}

impl S3Error {
    fn parts(self) -> (u16, &'static str, &'static str) {
        match self {
            Self::AccessDenied(message) => (403, "AccessDenied", message),
            Self::SignatureDoesNotMatch => (
                403,
                "SignatureDoesNotMatch",
                "The signature does not match the request: the method, the path or a signed header differs.",
            ),
            Self::NoSuchKey => (404, "NoSuchKey", "The specified key does not exist."),
            Self::MissingContentLength => (
                411,
                "MissingContentLength",
                "You must provide the Content-Length HTTP header.",
            ),
            Self::IncompleteBody => (
                400,
                "IncompleteBody",
                "You did not provide the number of bytes specified by the Content-Length HTTP header.",
            ),
            Self::InvalidRange => (
                416,
                "InvalidRange",
                "The requested range is not satisfiable",
            ),
            Self::MethodNotAllowed => (
                405,
                "MethodNotAllowed",
                "The specified method is not allowed against this resource.",
            ),
            Self::InternalError => (
                500,
                "InternalError",
                "The store could not read or write its files.",
            ),
        }
    }

    pub(super) fn response(self) -> Response<Body> {
        let (status, code, message) = self.parts();
        let xml = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>"
        );
        let mut response = Response::new(body::full(xml));
        *response.status_mut() =
            StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
        response
    }
}
