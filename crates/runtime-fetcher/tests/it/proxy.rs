//! Proxies, which only the configuration sets.

use std::time::Duration;

use runtime_core::{Secret, error_chain};
use runtime_fetcher::{AddressPolicy, HttpClient};

use crate::support::{Server, Step, config, context_with, get};

/// Starts a server that returns the requested path; for a proxy, that is a whole URL.
async fn echo() -> Server {
    Server::start(|request| Step::answer("200 OK", &[], request.path.as_bytes())).await
}

#[tokio::test]
async fn requests_go_through_the_proxy() {
    let proxy = echo().await;
    let mut config = config();
    let url = proxy.url("").replace("http://", "http://user:secret@");
    config.proxy = Some(Secret::new(url));
    let bytes = get(&context_with(config), "http://example.invalid/file").await;
    assert_eq!(
        bytes.expect("proxy responds"),
        "http://example.invalid/file"
    );
    let authorization = proxy.requests()[0]
        .header("proxy-authorization")
        .map(str::to_owned);
    assert!(
        authorization
            .expect("proxy has a password")
            .starts_with("Basic ")
    );
}

#[tokio::test]
async fn no_proxy_hosts_are_reached_directly() {
    let (proxy, server) = (echo().await, echo().await);
    let mut config = config();
    config.proxy = Some(Secret::new(proxy.url("")));
    config.no_proxy = vec!["127.0.0.0/8".to_owned(), ".example.invalid".to_owned()];
    let bytes = get(&context_with(config), &server.url("/file")).await;
    assert_eq!(bytes.expect("fetch succeeds"), "/file");
    assert!(proxy.requests().is_empty());
}

#[tokio::test]
async fn proxy_address_is_exempt_from_the_guard() {
    let proxy = echo().await;
    let mut config = config();
    config.addresses = AddressPolicy::Guarded;
    config.proxy = Some(Secret::new(proxy.url("")));
    let context = context_with(config);
    get(&context, "http://example.invalid/file")
        .await
        .expect("proxy responds");
    for url in ["http://169.254.169.254/", "http://LocalHost:8080/"] {
        let error = get(&context, url).await.expect_err(url);
        let text = error_chain(&error);
        assert!(text.contains("must not reach"), "{text}");
    }
    assert_eq!(proxy.requests().len(), 1);
}

#[tokio::test]
async fn proxy_password_is_never_shown() {
    let mut config = config();
    config.retry.max_attempts = 1;
    config.connect_timeout = Duration::from_millis(500);
    config.proxy = Some(Secret::new("http://user:secret@127.0.0.1:1"));
    let context = context_with(config.clone());
    let error = get(&context, "http://example.invalid/")
        .await
        .expect_err("nothing listens");
    let written = serde_json::to_string(&config).expect("configuration serializes");
    let shown = format!(
        "{} {error:?} {context:?} {config:?} {written}",
        error_chain(&error)
    );
    assert!(!shown.contains("secret"), "{shown}");
    config.proxy = Some(Secret::new("not a url with secret"));
    let error = HttpClient::new(config).expect_err("proxy is invalid");
    assert!(!format!("{} {error:?}", error_chain(&error)).contains("secret"));
}
