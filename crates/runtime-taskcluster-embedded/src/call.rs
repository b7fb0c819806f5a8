//! A call of a method, and the answer to it.

use std::sync::Arc;

use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::error::RequestError;
use super::hawk::Signer;
use super::router::Method;
use super::scopes::{Expression, satisfies};

/// Who calls, and what they may do.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) signer: Option<Signer>,
    pub(crate) anonymous: Arc<[String]>,
}

impl Caller {
    /// Tells whether the caller has the scope.
    pub(crate) fn allows(&self, scope: &str) -> bool {
        let own = self
            .signer
            .as_ref()
            .is_some_and(|signer| satisfies(&signer.scopes, scope));
        own || satisfies(&self.anonymous, scope)
    }
}

/// A call of a method.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) params: Vec<(&'static str, String)>,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) payload: Value,
    pub(crate) caller: Caller,
    pub(crate) now: Timestamp,
    /// What injected faults do to the answer from inside.
    pub(crate) quirks: Quirks,
}

/// Faults that only the method itself can commit.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Quirks {
    /// Hand out URLs that have already expired.
    pub(crate) expired_urls: bool,
    /// Hand out credentials that have already expired.
    pub(crate) expired_credentials: bool,
}

impl Call {
    /// A parameter of the path.
    pub(crate) fn param(&self, name: &str) -> &str {
        let found = self.params.iter().find(|(key, _)| *key == name);
        found.map_or("", |(_, value)| value)
    }

    /// The number of the run in the path.
    pub(crate) fn run_id(&self) -> u32 {
        self.param("runId").parse().unwrap_or_default()
    }

    /// A parameter of the query.
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// A text in the payload; empty where there is none.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.payload
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// An instant in the payload.
    pub(crate) fn instant(&self, name: &str) -> Timestamp {
        super::time::parse(self.text(name)).unwrap_or(self.now)
    }

    /// Refuses unless the caller satisfies the expression.
    pub(crate) fn require(&self, expression: Expression) -> Result<(), RequestError> {
        let client = self
            .caller
            .signer
            .as_ref()
            .map(|signer| signer.client_id.as_str());
        expression.require(client, &|scope| self.caller.allows(scope))
    }

    /// Refuses unless the caller has the scope.
    pub(crate) fn require_scope(&self, scope: impl Into<String>) -> Result<(), RequestError> {
        self.require(Expression::scope(scope))
    }

    /// The parameters of the path, as error bodies repeat them.
    pub(crate) fn params_json(&self) -> Value {
        self.params
            .iter()
            .map(|(name, value)| ((*name).to_owned(), json!(value)))
            .collect()
    }

    /// The page of a listing that the query asks for: from where, and how many.
    pub(crate) fn page(&self) -> (usize, usize) {
        let number = |name| self.query(name).and_then(|text| text.parse().ok());
        (
            number("continuationToken").unwrap_or(0),
            number("limit").unwrap_or(1000).clamp(1, 1000),
        )
    }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// 200 with JSON.
    pub(crate) fn json(body: &impl Serialize) -> Result<Self, RequestError> {
        let body =
            serde_json::to_vec(body).map_err(|error| RequestError::input(error.to_string()))?;
        let json = HeaderValue::from_static("application/json; charset=utf-8");
        Ok(Self {
            status: StatusCode::OK,
            headers: HeaderMap::from_iter([(header::CONTENT_TYPE, json)]),
            body,
        })
    }

    /// 204.
    pub(crate) fn no_content() -> Result<Self, RequestError> {
        Ok(Self {
            status: StatusCode::NO_CONTENT,
            headers: HeaderMap::new(),
            body: Vec::new(),
        })
    }

    /// The same with another status.
    pub(crate) fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// The same with one more header.
    pub(crate) fn with_header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }
}

/// Cuts one page out of a listing, and names the next.
pub(crate) fn paginate<T>(
    items: impl Iterator<Item = T>,
    (from, limit): (usize, usize),
) -> (Vec<T>, Option<String>) {
    let mut items = items.skip(from);
    let page: Vec<_> = items.by_ref().take(limit).collect();
    let next = items.next().map(|_| (from + limit).to_string());
    (page, next)
}
