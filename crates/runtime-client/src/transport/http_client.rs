//! The HTTP client of a deployment.

use runtime_http::reqwest::{Client, Error, Proxy};
use runtime_http::{client_builder, lenient_tls_config, tls_config};

use crate::client_error::ClientError;
use crate::settings::ClientSettings;

/// Creates an HTTP client.
///
/// With `needs_tls`, a machine without root certificates is an error here: later, every handshake would fail.
pub(crate) fn http_client(
    settings: &ClientSettings,
    needs_tls: bool,
) -> Result<Client, ClientError> {
    let tls = if needs_tls {
        tls_config(&[])
    } else {
        lenient_tls_config(&[])
    };
    // No time limit for whole requests: calls set one, uploads only limit the time without progress.
    let mut builder =
        client_builder(tls?, &settings.user_agent).connect_timeout(settings.connect_timeout);
    if let Some(proxy) = &settings.proxy {
        builder = builder.proxy(Proxy::all(proxy).map_err(invalid_settings)?);
    }
    builder.build().map_err(invalid_settings)
}

/// Removes the URL from the error: the URL of a proxy may contain a password.
fn invalid_settings(source: Error) -> ClientError {
    ClientError::Settings {
        source: source.without_url().into(),
    }
}
