//! The SSRF guard.

use runtime_core::{Services, error_chain};
use runtime_fetcher::{AddressPolicy, FetchContext, HttpClient};
use serde_json::json;

use crate::support::{FakeServices, Server, Step, config, get, get_reference};

fn guarded(services: Services) -> FetchContext {
    let mut config = config();
    config.addresses = AddressPolicy::Guarded;
    FetchContext::new(
        HttpClient::new(config).expect("configuration is valid"),
        services,
    )
}

async fn check_refused(url: &str) {
    let error = get(&guarded(Services::disconnected()), url)
        .await
        .expect_err(url);
    assert!(error.is_broken_reference(), "{error:?}");
    assert!(
        error_chain(&error).contains("must not reach"),
        "{}",
        error_chain(&error)
    );
}

#[tokio::test]
async fn loopback_and_metadata_urls_are_denied() {
    let server = Server::start(|_| Step::answer("200 OK", &[], b"internal")).await;
    check_refused(&server.url("/")).await;
    check_refused("http://169.254.169.254/latest/meta-data").await;
    check_refused("http://[::1]:1/").await;
    check_refused("http://2130706433/").await;
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn names_of_denied_addresses_are_denied() {
    let server = Server::start(|_| Step::answer("200 OK", &[], b"internal")).await;
    check_refused(&server.url("/").replace("127.0.0.1", "localhost")).await;
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn deployment_urls_are_exempt_from_the_guard() {
    let server = Server::start(|_| Step::answer("200 OK", &[], b"hello")).await;
    let mut fake = FakeServices::new();
    fake.artifacts.insert(
        "public/a".into(),
        json!({ "storageType": "s3", "url": server.url("/") }),
    );
    let reference = json!({ "taskId": "RmzTkg-8Qj614ea9fI9Jmg", "artifact": "public/a" });
    let bytes = get_reference(&guarded(fake.services()), reference).await;
    assert_eq!(bytes.expect("deployment is trusted"), "hello");
}

#[tokio::test]
async fn reference_artifact_is_guarded() {
    let server = Server::start(|_| Step::answer("200 OK", &[], b"internal")).await;
    let mut fake = FakeServices::new();
    let content = json!({ "storageType": "reference", "url": server.url("/") });
    fake.artifacts.insert("public/a".into(), content);
    let reference = json!({ "taskId": "RmzTkg-8Qj614ea9fI9Jmg", "artifact": "public/a" });
    let error = get_reference(&guarded(fake.services()), reference)
        .await
        .expect_err("address is denied");
    assert!(error_chain(&error).contains("must not reach"));
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn redirect_of_the_deployment_is_guarded() {
    let inner = Server::start(|_| Step::answer("200 OK", &[], b"internal")).await;
    let location = inner.url("/");
    let outer =
        Server::start(move |_| Step::answer("302 Found", &[("Location", &location)], b"")).await;
    let mut fake = FakeServices::new();
    fake.artifacts.insert(
        "public/a".into(),
        json!({ "storageType": "s3", "url": outer.url("/") }),
    );
    let reference = json!({ "taskId": "RmzTkg-8Qj614ea9fI9Jmg", "artifact": "public/a" });
    let error = get_reference(&guarded(fake.services()), reference)
        .await
        .expect_err("address is denied");
    assert!(error_chain(&error).contains("must not reach"));
    assert!(inner.requests().is_empty());
}
