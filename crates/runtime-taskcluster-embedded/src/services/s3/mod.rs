//! An S3-like store: PUT and GET with signed URLs.

pub(crate) mod error;
mod get;
mod put;
pub(crate) mod sign;
pub(crate) mod store;

use hyper::body::Incoming;
use hyper::{Method, Request, Response};
use percent_encoding::percent_decode_str;

use self::error::S3Error;
use super::super::api::parse_query;
use super::super::body::Body;
use super::super::shared::Shared;

/// The name of the request in fault rules, if it is one for the store.
pub(crate) fn method_name(verb: &Method, path: &str) -> Option<&'static str> {
    let bucket = path.trim_start_matches('/').split('/').next();
    bucket.filter(|bucket| [sign::PUBLIC, sign::PRIVATE].contains(bucket))?;
    Some(match *verb {
        Method::PUT => "s3.put",
        Method::GET | Method::HEAD => "s3.get",
        _ => "s3.other",
    })
}

/// Answers a request for the store.
pub(crate) async fn answer(shared: &Shared, request: Request<Incoming>) -> Response<Body> {
    let path = request.uri().path().trim_start_matches('/');
    let key = percent_decode_str(path).decode_utf8_lossy().into_owned();
    let query = parse_query(request.uri().query().unwrap_or_default());
    let result = match *request.method() {
        Method::PUT => put::put(shared, key, &query, request).await,
        Method::GET | Method::HEAD => get::get(shared, &key, &query, &request).await,
        _ => Err(S3Error::MethodNotAllowed),
    };
    result.unwrap_or_else(S3Error::response)
}
