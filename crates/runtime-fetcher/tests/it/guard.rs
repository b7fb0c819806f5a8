//! The SSRF guard.

use runtime_core::{Services, error_chain};
use runtime_fetcher::{AddressPolicy, FetchContext, HttpClient};
use serde_json::json;

use crate::support::{FakeServices, Server, Step, config, get, get_reference};

fn guarded(services: Services) -> FetchContext {
    guarded_except(&[], services)
}

/// Returns a context in which references of tasks may reach some hosts on this machine.
fn guarded_except(allowed: &[&str], services: Services) -> FetchContext {
    let mut config = config();
    config.addresses = AddressPolicy::Guarded;
    let allowed = allowed
        .iter()
        .map(|host| host.parse().expect("host is valid"));
    config.allowed_hosts = allowed.collect();
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
async fn private_and_embedded_addresses_are_denied() {
    for url in [
        "http://10.0.0.1/",
        "http://192.168.1.1/",
        "http://[fd00:c1::a9fe:a9fe]/opc/v2/",
        "http://[fd00:a9fe:a9fe::1]/",
        "http://[64:ff9b:1::a9fe:a9fe]/",
        "http://[64:ff9b:1:a9fe:a9:fe00::]/",
        "http://[::ffff:10.0.0.1]/",
        "http://[2002:7f00:1::]/",
    ] {
        check_refused(url).await;
    }
}

#[tokio::test]
async fn allowed_hosts_are_reached() {
    let server = Server::start(|_| Step::answer("200 OK", &[], b"mirror")).await;
    let by_name = server.url("/").replace("127.0.0.1", "localhost");
    for (allowed, url) in [
        ("127.0.0.1", server.url("/")),
        ("127.0.0.1", by_name.clone()),
        ("localhost", by_name),
    ] {
        let context = guarded_except(&[allowed], Services::disconnected());
        let bytes = get(&context, &url).await;
        assert_eq!(bytes.expect("host is allowed"), "mirror", "{allowed} {url}");
    }
}

#[tokio::test]
async fn allowed_block_does_not_open_this_machine() {
    let server = Server::start(|_| Step::answer("200 OK", &[], b"internal")).await;
    let context = guarded_except(&["127.0.0.0/8", "mirror.example"], Services::disconnected());
    let error = get(&context, &server.url("/")).await;
    let text = error_chain(&error.expect_err("address is denied"));
    assert!(
        text.contains("an address of the worker's machine"),
        "{text}"
    );
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
