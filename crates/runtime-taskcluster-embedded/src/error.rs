//! Error responses of the services.

use std::fmt;

use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::time::millis;

/// The `code` of an error response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorCode {
    /// The payload does not match its schema (400).
    InputValidationError,
    /// The payload matches its schema but is invalid for another reason (400).
    InputError,
    /// The payload is not JSON (400).
    MalformedPayload,
    /// An argument in the URL is malformed (400).
    InvalidRequestArguments,
    /// The signature or the credentials are invalid (401).
    AuthenticationFailed,
    /// The credentials lack scopes (403).
    InsufficientScopes,
    /// The resource does not exist (404).
    ResourceNotFound,
    /// The request conflicts with the state of the resource (409).
    RequestConflict,
    /// The resource has expired (410).
    ResourceExpired,
    /// An injected failure, or a request that a real service does not expect (5xx).
    InternalServerError,
}

impl ErrorCode {
    /// Returns the usual HTTP status of the code.
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

    /// Returns the code of an injected failure with this status.
    pub(crate) fn from_status(status: u16) -> Self {
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

/// The error response of a service.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{code}: {message}")]
#[non_exhaustive]
pub struct RequestError {
    /// The code, which determines the usual HTTP status.
    pub code: ErrorCode,
    /// The message of the service.
    pub message: String,
    /// Injected failures may have another status than the usual one of the code.
    status: u16,
}

impl RequestError {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            status: code.status(),
        }
    }

    pub(crate) fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    pub(crate) fn input(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InputError, message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::ResourceNotFound, message)
    }

    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::RequestConflict, message)
    }

    /// Creates the error for a failure that the service does not expect.
    pub(crate) fn internal() -> Self {
        let incident = Uuid::new_v4();
        let message = format!("Internal Server Error, incidentId {incident}.");
        Self::new(ErrorCode::InternalServerError, message)
    }

    pub(crate) fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::AuthenticationFailed, message)
    }

    /// Creates the error for a path parameter with the wrong syntax.
    pub(crate) fn invalid_param(name: &str, value: &str) -> Self {
        Self::new(
            ErrorCode::InvalidRequestArguments,
            format!(
                "Invalid URL patterns:\nURL parameter '{name}' given as '{value}' is not valid"
            ),
        )
    }

    /// Returns the HTTP status of the response.
    pub(crate) fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Returns the body of the response: code, message and a description of the request.
    pub(crate) fn body(
        &self,
        method: &str,
        params: &Value,
        payload: &Value,
        now: Timestamp,
    ) -> Value {
        let time = millis(now);
        // Real services append this trailer to every message, and clients print it.
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
