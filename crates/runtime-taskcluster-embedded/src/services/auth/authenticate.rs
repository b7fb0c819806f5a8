//! Questions about scopes and signatures.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::call::{Call, Reply};
use crate::error::RequestError;
use crate::hawk::{self, Signed, Signer};
use crate::router::{Method, Work};
use crate::schema::{Field, Rule, Schema};
use crate::shared::Shared;
use crate::time::millis;

pub(crate) const METHODS: &[Method] = &[
    Method::new(
        ("auth", "currentScopes"),
        ("GET", "/scopes/current"),
        Work::Now(current_scopes),
    ),
    Method::new(
        ("auth", "expandScopes"),
        ("POST", "/scopes/expand"),
        Work::Now(expand_scopes),
    )
    .takes(&SCOPES),
    Method::new(
        ("auth", "authenticateHawk"),
        ("POST", "/authenticate-hawk"),
        Work::Now(authenticate_hawk),
    )
    .takes(&AUTHENTICATE_HAWK),
];

const SCOPES: Schema = Schema {
    name: "auth/v1/scopeset.json",
    fields: &[Field::required(
        "scopes",
        Rule::List(&Rule::Text(usize::MAX)),
    )],
};

const AUTHENTICATE_HAWK: Schema = Schema {
    name: "auth/v1/authenticate-hawk-request.json",
    fields: &[
        Field::required("method", Rule::Text(20)),
        Field::required("resource", Rule::Text(usize::MAX)),
        Field::required("host", Rule::Text(255)),
        Field::required("port", Rule::Integer(0, 65_535)),
        Field::optional("authorization", Rule::Text(usize::MAX)),
        Field::optional("sourceIp", Rule::Text(64)),
    ],
};

fn current_scopes(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    call.require_scope("auth:current-scopes")?;
    let own = call
        .caller
        .signer
        .as_ref()
        .map(|signer| signer.scopes.clone());
    let scopes = shared.read(|state| state.clients.roles.expand(own.unwrap_or_default()));
    Reply::json(&json!({ "scopes": scopes }))
}

fn expand_scopes(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    call.require_scope("auth:expand-scopes")?;
    let mut scopes = shared.read(|state| state.clients.roles.assume(scopes(call, "scopes")));
    scopes.sort();
    Reply::json(&json!({ "scopes": scopes }))
}

/// The scopes in the payload.
pub(super) fn scopes(call: &Call, name: &str) -> Vec<String> {
    let scopes = call.payload[name].as_array().into_iter().flatten();
    scopes
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

fn authenticate_hawk(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    let method = call.text("method").to_ascii_uppercase();
    let port = call.payload["port"]
        .as_u64()
        .and_then(|port| u16::try_from(port).ok());
    let signed = Signed {
        method: &method,
        host: call.text("host"),
        port: port.unwrap_or_default(),
        resource: call.text("resource"),
        authorization: call.payload["authorization"].as_str(),
    };
    let body = match hawk::authenticate(signed, call.now, shared) {
        Ok(Some(signer)) => success(shared, signer),
        Ok(None) => json!({
            "status": "no-auth",
            "scheme": "none",
            "scopes": shared.read(|state| state.clients.roles.expand(Vec::new())),
            "expires": millis(call.now),
        }),
        Err(message) => json!({ "status": "auth-failed", "message": message }),
    };
    Reply::json(&body)
}

fn success(shared: &Shared, signer: Signer) -> Value {
    let mut body = json!({
        "status": "auth-success",
        "scheme": "hawk",
        "expires": millis(signer.expires),
        "scopes": shared.read(|state| state.clients.roles.expand(signer.scopes)),
        "clientId": signer.client_id,
    });
    if let Some(hash) = signer.hash {
        body["hash"] = json!(STANDARD.encode(hash));
    }
    body
}
