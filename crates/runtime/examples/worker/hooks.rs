//! How live logs and other hooks can be reached, as it is configured.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use runtime::Monitor;
use runtime::client::Client;
use runtime::webhook::{
    ConfiguredServer, ServerDependencies, TokenSourceFactory, TunnelToken, WebHookConfig, token_fn,
};

/// Starts the server that is configured.
pub(crate) async fn start(
    config: WebHookConfig,
    client: Client,
    monitor: &Monitor,
) -> Result<Arc<ConfiguredServer>> {
    let needs = ServerDependencies {
        monitor: monitor.clone(),
        tokens: Some(tokens(client)),
        ..ServerDependencies::default()
    };
    let server = config
        .start(needs)
        .await
        .context("the server for web hooks")?;
    Ok(Arc::new(server))
}

/// Tokens for a tunnel come from the deployment, with the worker's own credentials.
fn tokens(client: Client) -> TokenSourceFactory {
    let client = Arc::new(client);
    TokenSourceFactory::new(move |audience, id| {
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
