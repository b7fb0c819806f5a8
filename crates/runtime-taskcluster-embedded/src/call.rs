//! A call of a method and the reply to it.

use std::sync::Arc;
use std::time::Duration;

use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use crate::error::RequestError;
use crate::faults::HandlerFaults;
use crate::hawk::Signer;
use crate::request::find_value;
use crate::scopes::{Expression, satisfies};
use crate::state::task::TaskSnapshot;
use crate::time;

/// The result of a handler.
pub(crate) type ApiResult = Result<Reply, RequestError>;

const HOUR: Duration = Duration::from_secs(60 * 60);

/// The largest page of a listing, and the default.
const MAX_PAGE_SIZE: usize = 1000;

/// The identity and scopes of a caller.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// `None` for a request without a signature.
    pub(crate) signer: Option<Signer>,
    /// The scopes that every caller has.
    pub(crate) anonymous: Arc<[String]>,
}

impl Caller {
    /// Returns whether the caller has the scope.
    pub(crate) fn allows(&self, scope: &str) -> bool {
        let signer = self.signer.as_ref();
        signer.is_some_and(|signer| satisfies(&signer.scopes, scope))
            || satisfies(&self.anonymous, scope)
    }
}

/// A parsed and authenticated call of a method.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) params: Vec<(&'static str, String)>,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) payload: Value,
    pub(crate) caller: Caller,
    pub(crate) now: Timestamp,
    /// The injected faults that the handler has to apply.
    pub(crate) faults: HandlerFaults,
}

impl Call {
    /// Returns a parameter of the path.
    pub(crate) fn param(&self, name: &str) -> &str {
        let found = self.params.iter().find(|(key, _)| *key == name);
        found.map_or("", |(_, value)| value)
    }

    /// Returns the `runId` of the path.
    pub(crate) fn run_id(&self) -> u32 {
        self.param("runId").parse().unwrap_or_default()
    }

    /// Returns a parameter of the query.
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        find_value(&self.query, name)
    }

    /// Returns a string of the payload, or an empty one.
    pub(crate) fn text(&self, name: &str) -> &str {
        let value = self.payload.get(name).and_then(Value::as_str);
        value.unwrap_or_default()
    }

    /// Returns a timestamp of the payload, or the current time.
    pub(crate) fn instant(&self, name: &str) -> Timestamp {
        time::parse(self.text(name)).unwrap_or(self.now)
    }

    /// Returns the expiry of a URL with this lifetime, or a past one if the fault is injected.
    pub(crate) fn url_expiry(&self, lifetime: Duration) -> Timestamp {
        if self.faults.expired_urls {
            time::before(self.now, lifetime)
        } else {
            time::after(self.now, lifetime)
        }
    }

    /// Returns start and expiry of credentials, or past ones if the fault is injected.
    pub(crate) fn credentials_lifetime(
        &self,
        start: Timestamp,
        expiry: Timestamp,
    ) -> (Timestamp, Timestamp) {
        if self.faults.expired_credentials {
            (
                time::before(self.now, HOUR * 2),
                time::before(self.now, HOUR),
            )
        } else {
            (start, expiry)
        }
    }

    /// Fails unless the caller satisfies the expression.
    pub(crate) fn require(&self, expression: Expression) -> Result<(), RequestError> {
        let signer = self.caller.signer.as_ref();
        let client_id = signer.map(|signer| signer.client_id.as_str());
        expression.require(client_id, &|scope| self.caller.allows(scope))
    }

    /// Fails unless the caller has the scope.
    pub(crate) fn require_scope(&self, scope: impl Into<String>) -> Result<(), RequestError> {
        self.require(Expression::scope(scope))
    }

    /// Returns the parameters of the path for `requestInfo` in error bodies.
    pub(crate) fn params_json(&self) -> Value {
        self.params
            .iter()
            .map(|(name, value)| ((*name).to_owned(), json!(value)))
            .collect()
    }

    /// Returns the requested page of a listing.
    ///
    /// The continuation token is the offset of the page. A listing that changes between two pages
    /// may repeat or skip items, as it may in a real deployment.
    pub(crate) fn page<T>(&self, items: impl Iterator<Item = T>) -> ListingPage<T> {
        let number = |name| self.query(name).and_then(|text| text.parse().ok());
        let offset = number("continuationToken").unwrap_or(0);
        let limit = number("limit")
            .unwrap_or(MAX_PAGE_SIZE)
            .clamp(1, MAX_PAGE_SIZE);
        let mut items = items.skip(offset);
        ListingPage {
            items: items.by_ref().take(limit).collect(),
            next: items
                .next()
                .map(|_| offset.saturating_add(limit).to_string()),
        }
    }
}

/// One page of a listing.
#[derive(Debug)]
pub(crate) struct ListingPage<T> {
    items: Vec<T>,
    /// The continuation token of the next page.
    next: Option<String>,
}

impl<T> ListingPage<T> {
    /// Replaces the items of the page, without those for which there is no replacement.
    ///
    /// Call it after a listing of tasks was paged, so that only the tasks of the page are read from the journal.
    pub(crate) fn filter_map<U>(
        self,
        mut replace: impl FnMut(T) -> Result<Option<U>, RequestError>,
    ) -> Result<ListingPage<U>, RequestError> {
        let items = self.items.into_iter();
        Ok(ListingPage {
            items: items
                .filter_map(|item| replace(item).transpose())
                .collect::<Result<_, _>>()?,
            next: self.next,
        })
    }
}

/// A successful response of a handler.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// Creates a 200 with a JSON body.
    pub(crate) fn json(body: &impl Serialize) -> ApiResult {
        let body =
            serde_json::to_vec(body).map_err(|error| RequestError::input(error.to_string()))?;
        let json = HeaderValue::from_static("application/json; charset=utf-8");
        Ok(Self {
            status: StatusCode::OK,
            headers: HeaderMap::from_iter([(header::CONTENT_TYPE, json)]),
            body,
        })
    }

    /// Creates a 200 with one page of a listing in the field `name`.
    pub(crate) fn page(name: &str, page: &ListingPage<impl Serialize>) -> ApiResult {
        Self::page_in(json!({}), name, page)
    }

    /// Creates a 200 with one page of a listing, in addition to the other fields of the body.
    pub(crate) fn page_in(
        mut body: Value,
        name: &str,
        page: &ListingPage<impl Serialize>,
    ) -> ApiResult {
        body[name] = json!(page.items);
        if let Some(next) = &page.next {
            body["continuationToken"] = json!(next);
        }
        Self::json(&body)
    }

    /// Creates a 200 with the status of a task, the response of most methods that change one.
    pub(crate) fn task_status(status: &TaskSnapshot) -> ApiResult {
        Self::json(&json!({ "status": status }))
    }

    /// Creates a 204.
    pub(crate) fn no_content() -> ApiResult {
        Ok(Self {
            status: StatusCode::NO_CONTENT,
            headers: HeaderMap::new(),
            body: Vec::new(),
        })
    }

    /// Sets the status.
    pub(crate) fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// Adds a header, unless the value is not valid in one.
    pub(crate) fn with_header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }
}
