//! Credentials for other systems: websocktunnel and Sentry.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::call::{ApiResult, Call, Reply};
use crate::context::ServerContext;
use crate::credentials::hmac;
use crate::method::Method;
use crate::time::{after, before, millis};

pub(super) const METHODS: &[Method] = &[
    Method::get(
        "websocktunnelToken",
        "/websocktunnel/<wstAudience>/<wstClient>",
        websocktunnel_token,
    ),
    Method::get("sentryDSN", "/sentry/<project>/dsn", sentry_dsn),
];

/// The lifetime of a tunnel token.
const TUNNEL_TOKEN_LIFETIME: Duration = Duration::from_secs(96 * 60 * 60);
/// The time before now at which a token starts, for servers whose clock is behind.
const CLOCK_LEEWAY: Duration = Duration::from_secs(15 * 60);

fn websocktunnel_token(context: &ServerContext, call: &Call) -> ApiResult {
    let (audience, client) = (call.param("wstAudience"), call.param("wstClient"));
    call.require_scope(format!("auth:websocktunnel-token:{audience}/{client}"))?;
    let start = before(call.now, CLOCK_LEEWAY);
    let (start, expires) = call.credentials_lifetime(start, after(call.now, TUNNEL_TOKEN_LIFETIME));
    let claims = json!({
        "tid": client,
        "sub": client,
        "aud": audience,
        "iss": "taskcluster-auth",
        "iat": call.now.as_second(),
        "nbf": start.as_second(),
        "exp": expires.as_second(),
    });
    Reply::json(&json!({
        "wstClient": client,
        "wstAudience": audience,
        "token": jwt(context.tunnel_key.expose(), &claims),
        "expires": millis(expires),
    }))
}

/// Returns a JSON web token, signed with HS256.
fn jwt(key: &str, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    // One fixed algorithm does not justify a dependency on a JWT library.
    let signed = format!(
        "{}.{}",
        part(&json!({ "alg": "HS256", "typ": "JWT" })),
        part(claims)
    );
    let signature = URL_SAFE_NO_PAD.encode(hmac(key, &signed));
    format!("{signed}.{signature}")
}

/// Returns a DSN of this server, which answers error reports with a 404.
fn sentry_dsn(context: &ServerContext, call: &Call) -> ApiResult {
    let project = call.param("project");
    call.require_scope(format!("auth:sentry:{project}"))?;
    let host = context.root_url.trim_start_matches("http://");
    let expires: Timestamp = after(call.now, Duration::from_secs(24 * 60 * 60));
    Reply::json(&json!({
        "project": project,
        "dsn": {
            "secret": format!("http://key:secret@{host}/sentry/{project}"),
            "public": format!("http://key@{host}/sentry/{project}"),
        },
        "expires": millis(expires),
    }))
}
