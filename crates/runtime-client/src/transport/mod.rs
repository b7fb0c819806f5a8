//! HTTP transport of API calls: signing, sending, retries and error responses.

mod attempt_error;
pub(crate) mod call;
mod error_response;
mod execute;
pub(crate) mod http_client;
pub(crate) mod retries;
pub(crate) mod shared;
