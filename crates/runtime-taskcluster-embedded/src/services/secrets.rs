//! The secrets service.

use serde_json::json;

use crate::call::{ApiResult, Call, Reply};
use crate::context::ServerContext;
use crate::error::{ErrorCode, RequestError};
use crate::method::{Method, SecretPart};
use crate::schema::{Field, Schema, ValueType};
use crate::state::secrets::StoredSecret;
use crate::time::millis;

pub(super) const METHODS: &[Method] = &[
    Method::put("set", "/secret/<name>", set)
        .with_schema(&SECRET)
        .with_secret_payload(SecretPart::Field("secret")),
    Method::delete("remove", "/secret/<name>", remove),
    Method::get("get", "/secret/<name>", get),
    Method::get("list", "/secrets", list),
];

const SECRET: Schema = Schema {
    name: "secrets/v1/secret.json",
    fields: &[
        Field::required("secret", ValueType::Object),
        Field::required("expires", ValueType::Timestamp),
    ],
};

fn set(context: &ServerContext, call: &Call) -> ApiResult {
    let name = call.param("name");
    call.require_scope(format!("secrets:set:{name}"))?;
    let secret = StoredSecret {
        value: call.payload["secret"].clone(),
        expires: call.instant("expires"),
    };
    context.update(|state| state.secrets.insert(name.to_owned(), secret));
    Reply::json(&json!({}))
}

fn remove(context: &ServerContext, call: &Call) -> ApiResult {
    let name = call.param("name");
    call.require_scope(format!("secrets:set:{name}"))?;
    let removed = context.update(|state| state.secrets.remove(&name.to_owned()));
    removed.ok_or_else(secret_not_found)?;
    Reply::json(&json!({}))
}

fn get(context: &ServerContext, call: &Call) -> ApiResult {
    let name = call.param("name");
    call.require_scope(format!("secrets:get:{name}"))?;
    let body = context.read(|state| {
        let secret = state.secrets.get(name).ok_or_else(secret_not_found)?;
        if secret.expires < call.now {
            return Err(RequestError::new(
                ErrorCode::ResourceExpired,
                "The requested resource has expired.",
            ));
        }
        Ok(json!({ "secret": secret.value, "expires": millis(secret.expires) }))
    })?;
    Reply::json(&body)
}

fn secret_not_found() -> RequestError {
    RequestError::not_found("Secret not found")
}

fn list(context: &ServerContext, call: &Call) -> ApiResult {
    call.require_scope("secrets:list-secrets")?;
    let page = context.read(|state| call.page(state.secrets.keys().cloned()));
    Reply::page("secrets", &page)
}
