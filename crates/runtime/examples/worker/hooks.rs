//! How live logs and other hooks can be reached, as it is configured.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use runtime::Monitor;
use runtime::client::Client;
use runtime::webhook::{AnyServer, Config, LocalhostConfig, Needs, Tokens, TunnelToken, token_fn};
use runtime::worker::config;

/// Starts the server that a file chooses; without a file, hooks are for this machine.
pub(crate) async fn start(
    file: Option<&Path>,
    client: Client,
    monitor: &Monitor,
) -> Result<Arc<AnyServer>> {
    let config = match file {
        Some(file) => config::load(file).context("--web-hooks")?,
        None => Config::Localhost(LocalhostConfig::default()),
    };
    let needs = Needs {
        monitor: monitor.clone(),
        tokens: Some(tokens(client)),
        ..Needs::default()
    };
    let server = config.start(needs).await.context("--web-hooks")?;
    Ok(Arc::new(server))
}

/// Tokens for a tunnel come from the deployment, with the worker's own credentials.
fn tokens(client: Client) -> Tokens {
    let client = Arc::new(client);
    Tokens::new(move |audience, id| {
        let (client, audience, id) = (Arc::clone(&client), audience.to_owned(), id.to_owned());
        token_fn(move || {
            let (client, audience, id) = (Arc::clone(&client), audience.clone(), id.clone());
            async move {
                let token = client.websocktunnel_token(&audience, &id).await?;
                Ok(TunnelToken {
                    token: token.token,
                    expires: token.expires,
                })
            }
        })
    })
}
