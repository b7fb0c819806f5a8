//! Credentials for other systems: websocktunnel and Sentry.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::call::{Call, Reply};
use crate::credentials::hmac;
use crate::error::RequestError;
use crate::router::{Method, Work};
use crate::shared::Shared;
use crate::time::{after, before, millis};

pub(crate) const METHODS: &[Method] = &[
    Method::new(
        ("auth", "websocktunnelToken"),
        ("GET", "/websocktunnel/<wstAudience>/<wstClient>"),
        Work::Now(websocktunnel_token),
    ),
    Method::new(
        ("auth", "sentryDSN"),
        ("GET", "/sentry/<project>/dsn"),
        Work::Now(sentry_dsn),
    ),
];

/// How long a token for a tunnel is good.
const TUNNEL: Duration = Duration::from_secs(96 * 60 * 60);
/// How far back it starts, for clocks that differ.
const LEEWAY: Duration = Duration::from_secs(15 * 60);

fn websocktunnel_token(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    let (audience, client) = (call.param("wstAudience"), call.param("wstClient"));
    call.require_scope(format!("auth:websocktunnel-token:{audience}/{client}"))?;
    let expires = match call.quirks.expired_credentials {
        false => after(call.now, TUNNEL),
        true => before(call.now, LEEWAY),
    };
    let claims = json!({
        "tid": client,
        "sub": client,
        "aud": audience,
        "iss": "taskcluster-auth",
        "iat": call.now.as_second(),
        "nbf": before(call.now, LEEWAY).as_second(),
        "exp": expires.as_second(),
    });
    Reply::json(&json!({
        "wstClient": client,
        "wstAudience": audience,
        "token": jwt(shared.tunnel_key.expose_secret(), &claims),
        "expires": millis(expires),
    }))
}

/// A JSON web token, signed with HS256.
fn jwt(key: &str, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!(
        "{}.{}",
        part(&json!({ "alg": "HS256", "typ": "JWT" })),
        part(claims)
    );
    let signature = URL_SAFE_NO_PAD.encode(hmac(key, &signed));
    format!("{signed}.{signature}")
}

/// A DSN that points back here, where nobody listens to reports: they are answered with 404.
fn sentry_dsn(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    let project = call.param("project");
    call.require_scope(format!("auth:sentry:{project}"))?;
    let host = shared.root_url.trim_start_matches("http://");
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
