//! The refusals of the services, in the shape of the real ones.

use std::fmt;

use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::time::millis;

/// Why a service refused a request, as Taskcluster names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorCode {
    /// The payload does not fit its schema (400).
    InputValidationError,
    /// The payload fits its schema and still makes no sense (400).
    InputError,
    /// The payload is not JSON (400).
    MalformedPayload,
    /// An argument in the URL is malformed (400).
    InvalidRequestArguments,
    /// The signature or the credentials are wrong (401).
    AuthenticationFailed,
    /// The credentials lack scopes (403).
    InsufficientScopes,
    /// There is no such thing (404).
    ResourceNotFound,
    /// The request does not fit the state of things (409).
    RequestConflict,
    /// The thing was there once (410).
    ResourceExpired,
    /// A failure of the service, here always an injected one or a payload that is too large (5xx).
    InternalServerError,
}

impl ErrorCode {
    /// The HTTP status that goes with the code.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::InputValidationError
            | Self::InputError
            | Self::MalformedPayload
            | Self::InvalidRequestArguments => 400,
            Self::AuthenticationFailed => 401,
            Self::InsufficientScopes => 403,
            Self::ResourceNotFound => 404,
            Self::RequestConflict => 409,
            Self::ResourceExpired => 410,
            Self::InternalServerError => 500,
        }
    }

    /// The code that an injected failure with this status carries.
    pub(super) fn of_status(status: u16) -> Self {
        match status {
            401 => Self::AuthenticationFailed,
            403 => Self::InsufficientScopes,
            404 => Self::ResourceNotFound,
            409 => Self::RequestConflict,
            410 => Self::ResourceExpired,
            400..500 => Self::InputError,
            _ => Self::InternalServerError,
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A service refused a request.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{code}: {message}")]
#[non_exhaustive]
pub struct RequestError {
    /// What kind of refusal it is.
    pub code: ErrorCode,
    /// What the service says about it.
    pub message: String,
    /// The HTTP status, where it is not the usual one of the code.
    pub(super) status: u16,
}

impl RequestError {
    pub(super) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            status: code.status(),
        }
    }

    pub(super) fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    pub(super) fn input(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InputError, message)
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::ResourceNotFound, message)
    }

    pub(super) fn conflict(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::RequestConflict, message)
    }

    pub(super) fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::AuthenticationFailed, message)
    }

    /// The HTTP status of the answer.
    pub(super) fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The body of the answer: code, message and what was asked.
    pub(super) fn body(
        &self,
        method: &str,
        params: &Value,
        payload: &Value,
        now: Timestamp,
    ) -> Value {
        let time = millis(now);
        let message = format!(
            "{}\n\n---\n\n* method:     {method}\n* errorCode:  {}\n* statusCode: {}\n* time:       {time}",
            self.message, self.code, self.status,
        );
        json!({
            "code": self.code.to_string(),
            "message": message,
            "requestInfo": { "method": method, "params": params, "payload": payload, "time": time },
        })
    }
}
