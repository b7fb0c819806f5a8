//! Clients with permanent credentials.

use std::sync::Arc;

use secrecy::SecretString;
use serde_json::{Value, json};

use super::authenticate::scopes;
use super::clients::Client;
use crate::call::{Call, Reply, paginate};
use crate::error::RequestError;
use crate::router::{Method, Work};
use crate::schema::{Field, Rule, Schema};
use crate::scopes::Expression;
use crate::shared::Shared;
use crate::slug::token;
use crate::state::State;
use crate::time::millis;

pub(crate) const METHODS: &[Method] = &[
    Method::new(
        ("auth", "listClients"),
        ("GET", "/clients/"),
        Work::Now(list_clients),
    ),
    Method::new(
        ("auth", "client"),
        ("GET", "/clients/<clientId>"),
        Work::Now(client),
    ),
    Method::new(
        ("auth", "createClient"),
        ("PUT", "/clients/<clientId>"),
        Work::Now(create_client),
    )
    .takes(&CREATE_CLIENT),
    Method::new(
        ("auth", "resetAccessToken"),
        ("POST", "/clients/<clientId>/reset"),
        Work::Now(reset_access_token),
    ),
    Method::new(
        ("auth", "enableClient"),
        ("POST", "/clients/<clientId>/enable"),
        Work::Now(enable_client),
    ),
    Method::new(
        ("auth", "disableClient"),
        ("POST", "/clients/<clientId>/disable"),
        Work::Now(disable_client),
    ),
    Method::new(
        ("auth", "deleteClient"),
        ("DELETE", "/clients/<clientId>"),
        Work::Now(delete_client),
    ),
];

const CREATE_CLIENT: Schema = Schema {
    name: "auth/v1/create-client-request.json",
    fields: &[
        Field::required("expires", Rule::Instant),
        Field::required("description", Rule::Text(10_240)),
        Field::default("scopes", Rule::List(&Rule::Text(usize::MAX)), || json!([])),
        Field::default("deleteOnExpiration", Rule::Flag, || json!(false)),
    ],
};

fn describe(state: &State, client_id: &str, client: &Client) -> Value {
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

fn no_client() -> RequestError {
    RequestError::not_found("Client not found")
}

fn list_clients(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    call.require_scope("auth:list-clients")?;
    let prefix = call.query("prefix").unwrap_or_default();
    let (page, next) = shared.read(|state| {
        let wanted = state
            .clients
            .by_id
            .iter()
            .filter(|(id, _)| id.starts_with(prefix));
        paginate(
            wanted.map(|(id, client)| describe(state, id, client)),
            call.page(),
        )
    });
    let mut body = json!({ "clients": page });
    if let Some(next) = next {
        body["continuationToken"] = json!(next);
    }
    Reply::json(&body)
}

fn client(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    let id = call.param("clientId");
    call.require_scope(format!("auth:get-client:{id}"))?;
    let body = shared.read(|state| {
        state
            .clients
            .get(id)
            .map(|client| describe(state, id, &client))
    });
    Reply::json(&body.ok_or_else(no_client)?)
}

fn create_client(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    let id = call.param("clientId");
    let scopes = scopes(call, "scopes");
    let own = scopes.iter().cloned().map(Expression::Scope);
    call.require(Expression::all(
        own.chain([Expression::scope(format!("auth:create-client:{id}"))]),
    ))?;
    let access_token = token();
    let client = Client {
        access_token: SecretString::from(access_token.clone()),
        scopes,
        description: call.text("description").to_owned(),
        created: call.now,
        modified: call.now,
        rotated: call.now,
        expires: call.instant("expires"),
        disabled: false,
    };
    let mut body = shared.update(|state| {
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

/// Changes a client that may be changed: not one of the service's own.
fn change(
    shared: &Shared,
    call: &Call,
    verb: &str,
    change: impl FnOnce(&mut Client),
) -> Result<Value, RequestError> {
    let id = call.param("clientId");
    call.require_scope(format!("auth:{verb}:{id}"))?;
    check_changeable(id)?;
    shared.update(|state| {
        let client = state.clients.by_id.get_mut(id).ok_or_else(no_client)?;
        change(Arc::make_mut(client));
        let client = Arc::clone(client);
        Ok(describe(state, id, &client))
    })
}

fn check_changeable(client_id: &str) -> Result<(), RequestError> {
    match client_id.starts_with("static/") {
        true => Err(RequestError::input("static clients cannot be changed")),
        false => Ok(()),
    }
}

fn reset_access_token(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    let access_token = token();
    let mut body = change(shared, call, "reset-access-token", |client| {
        client.access_token = SecretString::from(access_token.clone());
        client.rotated = call.now;
    })?;
    body["accessToken"] = json!(access_token);
    Reply::json(&body)
}

fn enable_client(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    Reply::json(&change(shared, call, "enable-client", |client| {
        client.disabled = false
    })?)
}

fn disable_client(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    Reply::json(&change(shared, call, "disable-client", |client| {
        client.disabled = true
    })?)
}

fn delete_client(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    let id = call.param("clientId");
    call.require_scope(format!("auth:delete-client:{id}"))?;
    check_changeable(id)?;
    shared.update(|state| state.clients.by_id.remove(id));
    Reply::no_content()
}
