//! HTTP for fetches: single requests, redirects by the rules of this crate, and the SSRF guard.

mod body_response;
mod client;
mod location;
mod request;
mod ssrf_guard;
mod throughput_window;

pub(crate) use body_response::{BodyMetadata, BodyResponse, Encoding, RangeRequest};
pub use client::{HttpClient, HttpClientError};
pub(crate) use location::{Location, Trust};
pub(crate) use request::redacted;
