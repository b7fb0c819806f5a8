//! An S3-like store: PUT and GET with presigned URLs.

mod error;
mod get;
pub(crate) mod presign;
mod put;

use hyper::body::Incoming;
use hyper::{Method, Request, Response};
use percent_encoding::percent_decode_str;

use self::error::S3Error;
use crate::body::Body;
use crate::context::ServerContext;
use crate::request::parse_query;

/// The method names in fault rules.
pub(crate) const METHOD_NAMES: [&str; 3] = ["s3.put", "s3.get", "s3.other"];

/// Returns the method name in fault rules if the request is for the store.
pub(crate) fn method_name(verb: &Method, path: &str) -> Option<&'static str> {
    let bucket = path.trim_start_matches('/').split('/').next();
    bucket.filter(|bucket| [presign::PUBLIC_BUCKET, presign::PRIVATE_BUCKET].contains(bucket))?;
    Some(match *verb {
        Method::PUT => METHOD_NAMES[0],
        Method::GET | Method::HEAD => METHOD_NAMES[1],
        _ => METHOD_NAMES[2],
    })
}

/// Responds to a request for the store.
pub(crate) async fn respond(context: &ServerContext, request: Request<Incoming>) -> Response<Body> {
    let path = request.uri().path().trim_start_matches('/');
    let key = percent_decode_str(path).decode_utf8_lossy().into_owned();
    let query = parse_query(request.uri().query().unwrap_or_default());
    let result = match *request.method() {
        Method::PUT => put::put(context, key, &query, request).await,
        Method::GET | Method::HEAD => get::get(context, &key, &query, &request).await,
        _ => Err(S3Error::MethodNotAllowed),
    };
    result.unwrap_or_else(S3Error::response)
}
