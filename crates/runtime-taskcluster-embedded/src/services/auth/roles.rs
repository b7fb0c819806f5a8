//! Roles: sets of scopes with a name.

use serde_json::{Value, json};

use super::authenticate::scopes;
use crate::call::{Call, Reply};
use crate::error::RequestError;
use crate::router::{Method, Work};
use crate::schema::{Field, Rule, Schema};
use crate::scopes::Expression;
use crate::shared::Shared;
use crate::state::State;
use crate::time::millis;

pub(crate) const METHODS: &[Method] = &[
    Method::new(
        ("auth", "listRoleIds"),
        ("GET", "/roleids/"),
        Work::Now(list_role_ids),
    ),
    Method::new(
        ("auth", "role"),
        ("GET", "/roles/<roleId>"),
        Work::Now(role),
    ),
    Method::new(
        ("auth", "createRole"),
        ("PUT", "/roles/<roleId>"),
        Work::Now(create_role),
    )
    .takes(&CREATE_ROLE),
    Method::new(
        ("auth", "updateRole"),
        ("POST", "/roles/<roleId>"),
        Work::Now(update_role),
    )
    .takes(&CREATE_ROLE),
    Method::new(
        ("auth", "deleteRole"),
        ("DELETE", "/roles/<roleId>"),
        Work::Now(delete_role),
    ),
];

const CREATE_ROLE: Schema = Schema {
    name: "auth/v1/create-role-request.json",
    fields: &[
        Field::required("description", Rule::Text(10_240)),
        Field::required("scopes", Rule::List(&Rule::Text(usize::MAX))),
    ],
};

/// What is told about a role; descriptions and dates are not kept.
fn describe(state: &State, call: &Call, role: &str) -> Result<Value, RequestError> {
    let scopes = state.clients.roles.by_name().get(role);
    let scopes = scopes.ok_or_else(|| RequestError::not_found("Role not found"))?;
    Ok(json!({
        "roleId": role,
        "description": call.text("description"),
        "scopes": scopes,
        "created": millis(call.now),
        "lastModified": millis(call.now),
        "expandedScopes": state.clients.roles.expand(scopes.clone()),
    }))
}

fn list_role_ids(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    call.require_scope("auth:list-roles")?;
    let names: Vec<_> =
        shared.read(|state| state.clients.roles.by_name().keys().cloned().collect());
    Reply::json(&json!({ "roleIds": names }))
}

fn role(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    let role = call.param("roleId");
    call.require_scope(format!("auth:get-role:{role}"))?;
    Reply::json(&shared.read(|state| describe(state, call, role))?)
}

fn create_role(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    let exists = |state: &State| {
        state
            .clients
            .roles
            .by_name()
            .contains_key(call.param("roleId"))
    };
    if shared.read(exists) {
        return Err(RequestError::conflict("Role already exists"));
    }
    set(shared, call, "create-role")
}

fn update_role(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    shared.read(|state| describe(state, call, call.param("roleId")))?;
    set(shared, call, "update-role")
}

fn set(shared: &Shared, call: &Call, verb: &str) -> Result<Reply, RequestError> {
    let role = call.param("roleId");
    let scopes = scopes(call, "scopes");
    let own = scopes.iter().cloned().map(Expression::Scope);
    call.require(Expression::all(
        own.chain([Expression::scope(format!("auth:{verb}:{role}"))]),
    ))?;
    let body = shared.update(|state| {
        state.clients.roles.set(role.to_owned(), scopes);
        describe(state, call, role)
    })?;
    Reply::json(&body)
}

fn delete_role(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    let role = call.param("roleId");
    call.require_scope(format!("auth:delete-role:{role}"))?;
    shared.update(|state| state.clients.roles.remove(role));
    Reply::no_content()
}
