//! Management of clients.

use std::sync::Arc;

use serde_json::{Value, json};

use super::authenticate::payload_scopes;
use crate::call::{ApiResult, Call, Reply};
use crate::context::ServerContext;
use crate::error::RequestError;
use crate::method::Method;
use crate::schema::{Field, Schema, ValueType};
use crate::scopes::Expression;
use crate::slugid::token;
use crate::state::State;
use crate::state::clients::AuthClient;
use crate::time::millis;

pub(super) const METHODS: &[Method] = &[
    Method::get("listClients", "/clients/", list_clients),
    Method::get("client", "/clients/<clientId>", client),
    Method::put("createClient", "/clients/<clientId>", create_client).with_schema(&CREATE_CLIENT),
    Method::post(
        "resetAccessToken",
        "/clients/<clientId>/reset",
        reset_access_token,
    ),
    Method::post("enableClient", "/clients/<clientId>/enable", enable_client),
    Method::post(
        "disableClient",
        "/clients/<clientId>/disable",
        disable_client,
    ),
    Method::delete("deleteClient", "/clients/<clientId>", delete_client),
];

const CREATE_CLIENT: Schema = Schema {
    name: "auth/v1/create-client-request.json",
    fields: &[
        Field::required("expires", ValueType::Timestamp),
        Field::required("description", ValueType::Text(10_240)),
        Field::default(
            "scopes",
            ValueType::Array(&ValueType::Text(usize::MAX)),
            || json!([]),
        ),
        Field::default("deleteOnExpiration", ValueType::Boolean, || json!(false)),
    ],
};

fn describe(state: &State, client_id: &str, client: &AuthClient) -> Value {
    json!({
        "clientId": client_id,
        "expires": millis(client.expires),
        "description": client.description,
        "created": millis(client.created),
        "lastModified": millis(client.modified),
        "lastDateUsed": millis(client.modified),
        "lastRotated": millis(client.rotated),
        "scopes": client.scopes,
        "expandedScopes": state.clients.roles.expand(client.scopes.clone()),
        "disabled": client.disabled,
        "deleteOnExpiration": false,
    })
}

fn client_not_found() -> RequestError {
    RequestError::not_found("Client not found")
}

fn list_clients(context: &ServerContext, call: &Call) -> ApiResult {
    call.require_scope("auth:list-clients")?;
    let prefix = call.query("prefix").unwrap_or_default();
    let page = context.read(|state| {
        let wanted = state
            .clients
            .by_id
            .iter()
            .filter(|(id, _)| id.starts_with(prefix));
        call.page(wanted.map(|(id, client)| describe(state, id, client)))
    });
    Reply::page("clients", &page)
}

fn client(context: &ServerContext, call: &Call) -> ApiResult {
    let id = call.param("clientId");
    call.require_scope(format!("auth:get-client:{id}"))?;
    let body = context.read(|state| {
        state
            .clients
            .get(id)
            .map(|client| describe(state, id, &client))
    });
    Reply::json(&body.ok_or_else(client_not_found)?)
}

fn create_client(context: &ServerContext, call: &Call) -> ApiResult {
    let id = call.param("clientId");
    let scopes = payload_scopes(call);
    // A client can only grant scopes that it has.
    let granted = scopes.iter().cloned().map(Expression::Scope);
    call.require(Expression::all(
        granted.chain([Expression::scope(format!("auth:create-client:{id}"))]),
    ))?;
    let access_token = token();
    let client = AuthClient::new(
        access_token.clone().into(),
        scopes,
        call.text("description"),
        call.now,
        call.instant("expires"),
    );
    let mut body = context.update(|state| {
        if state.clients.by_id.contains_key(id) {
            return Err(RequestError::conflict(
                "client with same clientId already exists",
            ));
        }
        let body = describe(state, id, &client);
        state.clients.by_id.insert(id.to_owned(), Arc::new(client));
        Ok(body)
    })?;
    body["accessToken"] = json!(access_token);
    Reply::json(&body)
}

/// Changes a client, except the static ones of the services.
fn change(
    context: &ServerContext,
    call: &Call,
    action: &str,
    change: impl FnOnce(&mut AuthClient),
) -> Result<Value, RequestError> {
    let id = call.param("clientId");
    call.require_scope(format!("auth:{action}:{id}"))?;
    check_changeable(id)?;
    context.update(|state| {
        let client = state
            .clients
            .by_id
            .get_mut(&id.to_owned())
            .ok_or_else(client_not_found)?;
        change(Arc::make_mut(client));
        let client = Arc::clone(client);
        Ok(describe(state, id, &client))
    })
}

fn check_changeable(client_id: &str) -> Result<(), RequestError> {
    if client_id.starts_with("static/") {
        return Err(RequestError::input("static clients cannot be changed"));
    }
    Ok(())
}

fn reset_access_token(context: &ServerContext, call: &Call) -> ApiResult {
    let access_token = token();
    let mut body = change(context, call, "reset-access-token", |client| {
        client.access_token = access_token.clone().into();
        client.rotated = call.now;
    })?;
    body["accessToken"] = json!(access_token);
    Reply::json(&body)
}

fn enable_client(context: &ServerContext, call: &Call) -> ApiResult {
    Reply::json(&change(context, call, "enable-client", |client| {
        client.disabled = false
    })?)
}

fn disable_client(context: &ServerContext, call: &Call) -> ApiResult {
    Reply::json(&change(context, call, "disable-client", |client| {
        client.disabled = true
    })?)
}

fn delete_client(context: &ServerContext, call: &Call) -> ApiResult {
    let id = call.param("clientId");
    call.require_scope(format!("auth:delete-client:{id}"))?;
    check_changeable(id)?;
    context.update(|state| state.clients.by_id.remove(&id.to_owned()));
    Reply::no_content()
}
