//! HTTP as fetching needs it: one request at a time, redirects by our rules, addresses by policy.

mod answer;
mod client;
mod guard;
mod rate;
mod request;

pub(crate) use answer::{Answer, Encoding, Head, Part};
pub use client::{HttpClient, HttpClientError};
pub(crate) use request::redacted;
