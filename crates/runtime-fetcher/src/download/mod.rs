//! Remote references, downloaded with resume, retries, decoding and verification.

mod artifact_location;
#[cfg(feature = "brotli")]
mod brotli_decoder;
mod connection_scaler;
mod connections;
mod decode;
mod gzip_members;
mod parallel_ranges;
mod pass_error;
mod remote_reference;
mod resumable_body;
mod retry_budget;

pub(crate) use remote_reference::{Origin, RemoteReference};
