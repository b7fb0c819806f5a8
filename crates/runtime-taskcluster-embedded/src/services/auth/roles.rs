//! Management of roles.

use serde_json::{Value, json};

use super::authenticate::payload_scopes;
use crate::call::{ApiResult, Call, Reply};
use crate::context::ServerContext;
use crate::error::RequestError;
use crate::method::Method;
use crate::schema::{Field, Schema, ValueType};
use crate::scopes::Expression;
use crate::state::State;
use crate::time::millis;

pub(super) const METHODS: &[Method] = &[
    Method::get("listRoleIds", "/roleids/", list_role_ids),
    Method::get("role", "/roles/<roleId>", role),
    Method::put("createRole", "/roles/<roleId>", create_role).with_schema(&CREATE_ROLE),
    Method::post("updateRole", "/roles/<roleId>", update_role).with_schema(&CREATE_ROLE),
    Method::delete("deleteRole", "/roles/<roleId>", delete_role),
];

const CREATE_ROLE: Schema = Schema {
    name: "auth/v1/create-role-request.json",
    fields: &[
        Field::required("description", ValueType::Text(10_240)),
        Field::required("scopes", ValueType::Array(&ValueType::Text(usize::MAX))),
    ],
};

/// Returns a role as in responses. Descriptions and dates are not stored.
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

fn list_role_ids(context: &ServerContext, call: &Call) -> ApiResult {
    call.require_scope("auth:list-roles")?;
    let names: Vec<_> =
        context.read(|state| state.clients.roles.by_name().keys().cloned().collect());
    Reply::json(&json!({ "roleIds": names }))
}

fn role(context: &ServerContext, call: &Call) -> ApiResult {
    let role = call.param("roleId");
    call.require_scope(format!("auth:get-role:{role}"))?;
    Reply::json(&context.read(|state| describe(state, call, role))?)
}

fn create_role(context: &ServerContext, call: &Call) -> ApiResult {
    let exists = |state: &State| {
        state
            .clients
            .roles
            .by_name()
            .contains_key(call.param("roleId"))
    };
    if context.read(exists) {
        return Err(RequestError::conflict("Role already exists"));
    }
    set(context, call, "create-role")
}

fn update_role(context: &ServerContext, call: &Call) -> ApiResult {
    context.read(|state| describe(state, call, call.param("roleId")))?;
    set(context, call, "update-role")
}

fn set(context: &ServerContext, call: &Call, action: &str) -> ApiResult {
    let role = call.param("roleId");
    let scopes = payload_scopes(call);
    // A caller can only grant scopes that it has.
    let granted = scopes.iter().cloned().map(Expression::Scope);
    call.require(Expression::all(
        granted.chain([Expression::scope(format!("auth:{action}:{role}"))]),
    ))?;
    let body = context.update(|state| {
        state.clients.roles.set(role.to_owned(), scopes);
        describe(state, call, role)
    })?;
    Reply::json(&body)
}

fn delete_role(context: &ServerContext, call: &Call) -> ApiResult {
    let role = call.param("roleId");
    call.require_scope(format!("auth:delete-role:{role}"))?;
    context.update(|state| state.clients.roles.remove(role));
    Reply::no_content()
}
