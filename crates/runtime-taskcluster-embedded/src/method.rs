//! A method of a service: its name, path, payload schema and handler.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::call::{ApiResult, Call};
use crate::context::ServerContext;
use crate::schema::Schema;

/// The future of a handler that waits.
pub(crate) type HandlerFuture<'a> = Pin<Box<dyn Future<Output = ApiResult> + Send + 'a>>;

/// The function that implements a method.
#[derive(Clone, Copy)]
pub(crate) enum Handler {
    Sync(fn(&ServerContext, &Call) -> ApiResult),
    Async(for<'a> fn(&'a ServerContext, &'a Call) -> HandlerFuture<'a>),
}

/// The part of a payload that is secret.
#[derive(Clone, Copy)]
pub(crate) enum SecretPart {
    None,
    Field(&'static str),
    All,
}

/// The text that replaces a secret payload.
const OMITTED: &str = "(OMITTED)";

/// The clients that may call a method.
#[derive(Clone, Copy)]
pub(crate) enum Authentication {
    /// The clients of the auth service.
    Clients,
    /// The client for tests of signatures, with the scopes that the function returns for a payload.
    TestClient(fn(&Value) -> Vec<String>),
    /// Every client; the credentials are not checked.
    Skipped,
}

/// The decoded parameters of a path, by name.
pub(crate) type PathParams = Vec<(&'static str, String)>;

/// A method of a service.
#[derive(Clone, Copy)]
pub(crate) struct Method {
    pub(crate) name: &'static str,
    verb: &'static str,
    /// The path in the notation of the official references, with parameters in angle brackets.
    path: &'static str,
    pub(crate) schema: Option<&'static Schema>,
    /// The part of the payload that error responses do not repeat.
    secret_payload: SecretPart,
    pub(crate) authentication: Authentication,
    pub(crate) handler: Handler,
}

type SyncHandler = fn(&ServerContext, &Call) -> ApiResult;

impl Method {
    const fn new(
        verb: &'static str,
        name: &'static str,
        path: &'static str,
        handler: Handler,
    ) -> Self {
        Self {
            name,
            verb,
            path,
            schema: None,
            secret_payload: SecretPart::None,
            authentication: Authentication::Clients,
            handler,
        }
    }

    pub(crate) const fn get(name: &'static str, path: &'static str, handler: SyncHandler) -> Self {
        Self::new("GET", name, path, Handler::Sync(handler))
    }

    pub(crate) const fn put(name: &'static str, path: &'static str, handler: SyncHandler) -> Self {
        Self::new("PUT", name, path, Handler::Sync(handler))
    }

    pub(crate) const fn post(name: &'static str, path: &'static str, handler: SyncHandler) -> Self {
        Self::new("POST", name, path, Handler::Sync(handler))
    }

    pub(crate) const fn delete(
        name: &'static str,
        path: &'static str,
        handler: SyncHandler,
    ) -> Self {
        Self::new("DELETE", name, path, Handler::Sync(handler))
    }

    pub(crate) const fn post_async(
        name: &'static str,
        path: &'static str,
        handler: for<'a> fn(&'a ServerContext, &'a Call) -> HandlerFuture<'a>,
    ) -> Self {
        Self::new("POST", name, path, Handler::Async(handler))
    }

    /// Sets the schema of the payload.
    pub(crate) const fn with_schema(mut self, schema: &'static Schema) -> Self {
        self.schema = Some(schema);
        self
    }

    /// Sets the part of the payload that error responses do not repeat.
    pub(crate) const fn with_secret_payload(mut self, secret: SecretPart) -> Self {
        self.secret_payload = secret;
        self
    }

    /// Sets the clients that may call the method.
    pub(crate) const fn with_authentication(mut self, authentication: Authentication) -> Self {
        self.authentication = authentication;
        self
    }

    /// Returns the payload for an error response.
    pub(crate) fn public_payload(&self, payload: &Value) -> Value {
        match (self.secret_payload, payload) {
            (SecretPart::None, _) => payload.clone(),
            (SecretPart::Field(name), Value::Object(fields)) => {
                let mut fields = fields.clone();
                fields.insert(name.to_owned(), json!(OMITTED));
                Value::Object(fields)
            }
            _ => json!(OMITTED),
        }
    }

    /// Returns the parameters of a raw path below `/api/<service>/v1` if this method serves it.
    pub(crate) fn match_path(&self, verb: &str, path: &str) -> Option<PathParams> {
        if self.verb != verb {
            return None;
        }
        let mut params = Vec::new();
        let mut rest = path;
        let mut pattern = self.path.split('/').skip(1).peekable();
        while let Some(part) = pattern.next() {
            rest = rest.strip_prefix('/')?;
            // Names of artifacts and secrets contain slashes, which clients may send unescaped.
            // Other parameters are one segment.
            let spans_segments = part == "<name>" && pattern.peek().is_none();
            let end = if spans_segments {
                rest.len()
            } else {
                rest.find('/').unwrap_or(rest.len())
            };
            let (segment, after) = rest.split_at(end);
            rest = after;
            let param = part
                .strip_prefix('<')
                .and_then(|name| name.strip_suffix('>'));
            match param {
                Some(_) if segment.is_empty() => return None,
                // Decoded only after the split: an escaped slash belongs to its segment.
                Some(name) => params.push((name, percent_decode(segment))),
                None if part == segment => {}
                None => return None,
            }
        }
        rest.is_empty().then_some(params)
    }
}

fn percent_decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

impl fmt::Debug for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}
