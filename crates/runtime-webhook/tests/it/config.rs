//! Servers selected by configuration.

use std::sync::Arc;

use runtime_core::webhook::{AttachError, WebHookServer as _};
use runtime_webhook::{ServerDependencies, StartServerError, StaticPage, WebHookConfig};

use crate::support::{body, get, status};

fn parse(json: &str) -> Result<WebHookConfig, serde_json::Error> {
    serde_json::from_str(json)
}

async fn start(json: &str) -> Result<runtime_webhook::ConfiguredServer, StartServerError> {
    parse(json)
        .expect("a configuration")
        .start(ServerDependencies::default())
        .await
}

#[tokio::test]
async fn provider_selects_the_server() {
    let server = start(r#"{"provider": "localhost"}"#)
        .await
        .expect("started");
    let page = StaticPage::text("ready");
    let hook = server.attach(Arc::new(page)).await.expect("attached");
    let answer = get(&hook.url(), "").await;
    assert_eq!((status(&answer), body(&answer)), (200, "ready"));
    assert_eq!(status(&get(&format!("{}x", hook.url()), "").await), 404);

    let none = start(r#"{"provider": "none"}"#).await.expect("started");
    let error = none.attach(Arc::new(StaticPage::text(""))).await;
    assert!(matches!(error, Err(AttachError::NoServer)));
}

#[cfg(feature = "public")]
#[tokio::test]
async fn public_server_uses_its_settings() {
    let server = start(
        r#"{"provider": "public", "host": "example.com", "port": 0, "exposedPort": 8443,
            "statelessDNS": {"serverIp": "203.0.113.7", "secret": "s3cr3t"}}"#,
    );
    let server = server.await.expect("started");
    let hook = server
        .attach(Arc::new(StaticPage::text("")))
        .await
        .expect("attached");
    assert!(hook.url().contains(".example.com:8443/"), "{}", hook.url());
    let error = start(r#"{"provider": "public", "host": "a", "port": 0, "tlsKey": "k"}"#).await;
    let text = error.expect_err("no certificate").to_string();
    assert!(text.contains("missing key `tlsCertificate`"), "{text}");
}

#[cfg(feature = "public")]
#[test]
fn debug_hides_secrets() {
    let config = parse(
        r#"{"provider": "public", "host": "a", "port": 0,
            "statelessDNS": {"serverIp": "203.0.113.7", "secret": "s3cr3t"}}"#,
    );
    assert!(!format!("{:?}", config.expect("a configuration")).contains("s3cr3t"));
}

#[cfg(feature = "websocktunnel")]
#[tokio::test]
async fn websocktunnel_requires_tokens() {
    let json = r#"{"provider": "websocktunnel", "serverUrl": "https://tunnel.example.com",
                   "audience": "example", "clientId": "group.worker.1"}"#;
    assert!(matches!(start(json).await, Err(StartServerError::NoTokens)));
    let tokens = runtime_webhook::TokenSourceFactory::new(|audience, client| {
        assert_eq!((audience, client), ("example", "group.worker.1"));
        runtime_webhook::token_fn(|| async { Err("none".into()) })
    });
    let dependencies = ServerDependencies {
        tokens: Some(tokens),
        ..ServerDependencies::default()
    };
    parse(json)
        .expect("a configuration")
        .start(dependencies)
        .await
        .expect("started");
}

#[cfg(feature = "localtunnel")]
#[test]
fn localtunnel_requires_a_server() {
    let error = parse(r#"{"provider": "localtunnel"}"#).expect_err("no server");
    assert!(error.to_string().contains("`serverUrl`"), "{error}");
}

#[test]
fn unknown_key_is_named() {
    let error = parse(r#"{"provider": "localhost", "prot": 80}"#).expect_err("a typo");
    assert!(
        error.to_string().contains("`prot`") && error.to_string().contains("`port`"),
        "{error}"
    );
    let error = parse(r#"{"provider": "carrier pigeon"}"#).expect_err("an unknown provider");
    assert!(error.to_string().contains("localhost"), "{error}");
}

#[test]
fn schema_describes_the_keys() {
    let schema = serde_json::to_string(&WebHookConfig::schema()).expect("a schema");
    for word in ["provider", "localhost", "none", "port"] {
        assert!(schema.contains(word), "{word}");
    }
    #[cfg(feature = "websocktunnel")]
    assert!(schema.contains("receiveWindow") && schema.contains("audience"));
}
