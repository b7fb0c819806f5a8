//! Methods with which programs test their signatures.

use serde_json::{Value, json};

use crate::call::{ApiResult, Call, Reply};
use crate::context::ServerContext;
use crate::method::{Authentication, Method};
use crate::schema::{Field, Schema, ValueType};
use crate::scopes::Expression;

pub(super) const METHODS: &[Method] = &[
    Method::post("testAuthenticate", "/test-authenticate", test_authenticate)
        .with_schema(&TEST_AUTHENTICATE)
        .with_authentication(Authentication::TestClient(client_scopes)),
    Method::get(
        "testAuthenticateGet",
        "/test-authenticate-get/",
        test_authenticate_get,
    )
    .with_authentication(Authentication::TestClient(client_scopes_of_get)),
];

const TEST_AUTHENTICATE: Schema = Schema {
    name: "auth/v1/test-authenticate-request.json",
    fields: &[
        Field::default("clientScopes", SCOPES, || json!([])),
        Field::default("requiredScopes", SCOPES, || json!([])),
    ],
};

const SCOPES: ValueType = ValueType::Array(&ValueType::Text(usize::MAX));

/// The client id in the response to a request without credentials.
const NO_CLIENT_ID: &str = "auth-failed:no-creds";

fn client_scopes(payload: &Value) -> Vec<String> {
    texts(&payload["clientScopes"])
}

fn client_scopes_of_get(_: &Value) -> Vec<String> {
    ["test:*", "auth:create-client:test:*"]
        .map(str::to_owned)
        .into()
}

fn texts(array: &Value) -> Vec<String> {
    let texts = array.as_array().into_iter().flatten();
    let texts = texts.filter_map(Value::as_str);
    texts.map(str::to_owned).collect()
}

fn test_authenticate(_: &ServerContext, call: &Call) -> ApiResult {
    respond(call, texts(&call.payload["requiredScopes"]))
}

fn test_authenticate_get(_: &ServerContext, call: &Call) -> ApiResult {
    respond(call, vec!["test:authenticate-get".to_owned()])
}

/// Returns the client and its scopes if these include the required ones.
fn respond(call: &Call, required: Vec<String>) -> ApiResult {
    call.require(Expression::all(required.into_iter().map(Expression::Scope)))?;
    let signer = call.caller.signer.as_ref();
    let mut scopes = signer.map_or_else(Vec::new, |signer| signer.scopes.clone());
    scopes.push("assume:anonymous".to_owned());
    scopes.sort();
    Reply::json(&json!({
        "clientId": signer.map_or(NO_CLIENT_ID, |signer| &signer.client_id),
        "scopes": scopes,
    }))
}
