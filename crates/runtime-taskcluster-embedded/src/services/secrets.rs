//! Secrets: small objects that take a scope to read.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::call::{Call, Reply, paginate};
use crate::error::{ErrorCode, RequestError};
use crate::router::{Method, Work};
use crate::schema::{Field, Rule, Schema};
use crate::shared::Shared;
use crate::time::millis;

pub(crate) const METHODS: &[Method] = &[
    Method::new(
        ("secrets", "set"),
        ("PUT", "/secret/<name>"),
        Work::Now(set),
    )
    .takes(&SECRET),
    Method::new(
        ("secrets", "remove"),
        ("DELETE", "/secret/<name>"),
        Work::Now(remove),
    ),
    Method::new(
        ("secrets", "get"),
        ("GET", "/secret/<name>"),
        Work::Now(get),
    ),
    Method::new(("secrets", "list"), ("GET", "/secrets"), Work::Now(list)),
];

const SECRET: Schema = Schema {
    name: "secrets/v1/secret.json",
    fields: &[
        Field::required("secret", Rule::Object),
        Field::required("expires", Rule::Instant),
    ],
};

/// A value that `Debug` does not show.
pub(crate) struct Secret {
    value: Value,
    expires: Timestamp,
}

impl Secret {
    pub(crate) fn new(value: Value, expires: Timestamp) -> Self {
        Self { value, expires }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret")
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

/// The secrets by name.
pub(crate) type Secrets = BTreeMap<String, Secret>;

fn set(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    let name = call.param("name");
    call.require_scope(format!("secrets:set:{name}"))?;
    let secret = Secret::new(call.payload["secret"].clone(), call.instant("expires"));
    shared.update(|state| state.secrets.insert(name.to_owned(), secret));
    Reply::json(&json!({}))
}

fn remove(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    let name = call.param("name");
    call.require_scope(format!("secrets:set:{name}"))?;
    let removed = shared.update(|state| state.secrets.remove(name));
    removed.ok_or_else(|| RequestError::not_found("Secret not found"))?;
    Reply::json(&json!({}))
}

fn get(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    let name = call.param("name");
    call.require_scope(format!("secrets:get:{name}"))?;
    let body = shared.read(|state| match state.secrets.get(name) {
        None => Err(RequestError::not_found("Secret not found")),
        Some(secret) if secret.expires < call.now => Err(RequestError::new(
            ErrorCode::ResourceExpired,
            "The requested resource has expired.",
        )),
        Some(secret) => Ok(json!({ "secret": secret.value, "expires": millis(secret.expires) })),
    })?;
    Reply::json(&body)
}

fn list(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    call.require_scope("secrets:list-secrets")?;
    let (page, next) = shared.read(|state| paginate(state.secrets.keys().cloned(), call.page()));
    let mut body = json!({ "secrets": page });
    if let Some(next) = next {
        body["continuationToken"] = json!(next);
    }
    Reply::json(&body)
}
