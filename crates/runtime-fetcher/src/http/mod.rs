//! HTTP for fetches: single requests, redirects by the rules of this crate, and the SSRF guard.

mod body_metadata;
mod client;
mod get;
mod location;
mod redirect;
mod special_addresses;
mod ssrf_guard;
mod throughput_window;

#[cfg(test)]
pub(crate) use body_metadata::ResourceUrl;
pub(crate) use body_metadata::{BodyMetadata, Encoding, RangeRequest};
pub use client::{HttpClient, HttpClientError};
pub(crate) use get::BodyResponse;
pub(crate) use location::{Location, LocationTrust, redacted};
