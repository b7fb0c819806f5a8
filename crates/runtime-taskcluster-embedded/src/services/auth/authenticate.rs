//! Scopes of callers, and verification of signatures for other services.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::call::{ApiResult, Call, Reply};
use crate::context::ServerContext;
use crate::hawk::{self, RequestToAuthenticate, Signer};
use crate::method::Method;
use crate::schema::{Field, Schema, ValueType};
use crate::time::millis;

pub(super) const METHODS: &[Method] = &[
    Method::get("currentScopes", "/scopes/current", current_scopes),
    Method::post("expandScopes", "/scopes/expand", expand_scopes).with_schema(&SCOPES),
    Method::post("authenticateHawk", "/authenticate-hawk", authenticate_hawk)
        .with_schema(&AUTHENTICATE_HAWK),
];

const SCOPES: Schema = Schema {
    name: "auth/v1/scopeset.json",
    fields: &[Field::required(
        "scopes",
        ValueType::Array(&ValueType::Text(usize::MAX)),
    )],
};

const AUTHENTICATE_HAWK: Schema = Schema {
    name: "auth/v1/authenticate-hawk-request.json",
    fields: &[
        Field::required("method", ValueType::Text(20)),
        Field::required("resource", ValueType::Text(usize::MAX)),
        Field::required("host", ValueType::Text(255)),
        Field::required("port", ValueType::Integer(0, 65_535)),
        Field::optional("authorization", ValueType::Text(usize::MAX)),
        Field::optional("sourceIp", ValueType::Text(64)),
    ],
};

fn current_scopes(context: &ServerContext, call: &Call) -> ApiResult {
    call.require_scope("auth:current-scopes")?;
    let signer = call.caller.signer.as_ref();
    let scopes = signer.map(|signer| signer.scopes.clone());
    let scopes = context.read(|state| state.clients.roles.expand(scopes.unwrap_or_default()));
    Reply::json(&json!({ "scopes": scopes }))
}

fn expand_scopes(context: &ServerContext, call: &Call) -> ApiResult {
    call.require_scope("auth:expand-scopes")?;
    let mut scopes = context.read(|state| state.clients.roles.assume(payload_scopes(call)));
    scopes.sort();
    Reply::json(&json!({ "scopes": scopes }))
}

/// Returns the scopes of the payload.
pub(super) fn payload_scopes(call: &Call) -> Vec<String> {
    let scopes = call.payload["scopes"].as_array().into_iter().flatten();
    scopes
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

fn authenticate_hawk(context: &ServerContext, call: &Call) -> ApiResult {
    let method = call.text("method").to_ascii_uppercase();
    let port = call.payload["port"]
        .as_u64()
        .and_then(|port| u16::try_from(port).ok());
    let signed = RequestToAuthenticate {
        method: &method,
        host: call.text("host"),
        port: port.unwrap_or_default(),
        resource: call.text("resource"),
        authorization: call.payload["authorization"].as_str(),
    };
    let body = match hawk::authenticate(signed, call.now, context) {
        Ok(Some(signer)) => success(context, signer),
        Ok(None) => json!({
            "status": "no-auth",
            "scheme": "none",
            "scopes": context.read(|state| state.clients.roles.expand(Vec::new())),
            "expires": millis(call.now),
        }),
        Err(message) => json!({ "status": "auth-failed", "message": message }),
    };
    Reply::json(&body)
}

fn success(context: &ServerContext, signer: Signer) -> Value {
    let mut body = json!({
        "status": "auth-success",
        "scheme": "hawk",
        "expires": millis(signer.expires),
        "scopes": context.read(|state| state.clients.roles.expand(signer.scopes)),
        "clientId": signer.client_id,
    });
    if let Some(hash) = signer.payload_hash {
        body["hash"] = json!(STANDARD.encode(hash));
    }
    body
}
