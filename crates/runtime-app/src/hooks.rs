//! The web hook server of the configuration, which serves live logs.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use runtime_client::Client;
use runtime_core::Monitor;
use runtime_webhook::{
    ConfiguredServer, ServerDependencies, TokenSourceFactory, TunnelToken, WebHookConfig, token_fn,
};

pub(crate) async fn start(
    config: WebHookConfig,
    client: Client,
    monitor: &Monitor,
) -> Result<Arc<ConfiguredServer>> {
    let dependencies = ServerDependencies {
        monitor: monitor.clone(),
        tokens: Some(tunnel_tokens(client)),
        ..ServerDependencies::default()
    };
    let server = config.start(dependencies).await;
    server
        .map(Arc::new)
        .context("cannot start the web hook server")
}

/// Fetches tokens for a tunnel from the deployment, with the worker's credentials.
fn tunnel_tokens(client: Client) -> TokenSourceFactory {
    TokenSourceFactory::new(move |audience, id| {
        let (client, audience, id) = (client.clone(), audience.to_owned(), id.to_owned());
        token_fn(move || {
            let (client, audience, id) = (client.clone(), audience.clone(), id.clone());
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
