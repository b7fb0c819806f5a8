//! What a deployment can be made of.

use runtime_client::{Client, ClientError, ClientSettings, TaskclusterDeployment};
use runtime_core::Deployment as _;

#[test]
fn a_root_url_loses_its_slash() {
    for url in ["http://127.0.0.1:8080", "http://127.0.0.1:8080/"] {
        let deployment = TaskclusterDeployment::new(url).expect("a root URL");
        assert_eq!(deployment.root_url(), "http://127.0.0.1:8080");
    }
}

#[test]
fn what_is_no_root_url_is_refused_without_showing_a_password() {
    for url in [
        "",
        "tc.example.com",
        "ftp://tc.example.com",
        "http://user:s3cret@tc.example.com",
        "http://tc.example.com?a=s3cret",
    ] {
        let error = TaskclusterDeployment::new(url).expect_err(url);
        let shown = format!("{error} {error:?}");
        assert!(
            matches!(
                error,
                ClientError::RootUrl { .. } | ClientError::UnsupportedRootUrl { .. }
            ),
            "{shown}"
        );
        assert!(!shown.contains("user:s3cret"), "{shown}");
    }
}

#[test]
fn a_proxy_that_is_none_is_refused() {
    let mut settings = ClientSettings::default();
    settings.proxy = Some("not a proxy".to_owned());
    let error =
        TaskclusterDeployment::with_settings("http://127.0.0.1", settings).expect_err("no proxy");
    assert!(matches!(error, ClientError::Settings { .. }), "{error:?}");
}

#[test]
fn no_crypto_provider_is_installed_for_the_process() {
    TaskclusterDeployment::new("https://tc.example.com")
        .map(drop)
        .unwrap_or_default();
    assert!(rustls::crypto::CryptoProvider::get_default().is_none());
}

#[test]
fn handles_can_be_shared_between_threads() {
    fn check<T: Send + Sync + Clone + 'static>() {}
    check::<Client>();
    check::<TaskclusterDeployment>();
    check::<runtime_client::Authorizer>();
}
