//! Creating a deployment.

use runtime_client::{Client, ClientError, ClientSettings, TaskclusterDeployment};
use runtime_core::Deployment as _;

#[test]
fn trailing_slash_of_root_url_is_removed() {
    for url in ["http://127.0.0.1:8080", "http://127.0.0.1:8080/"] {
        let deployment = TaskclusterDeployment::new(url).expect("a root URL");
        assert_eq!(deployment.root_url(), "http://127.0.0.1:8080");
    }
}

#[test]
fn root_url_errors_contain_no_password() {
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
fn invalid_proxy_is_refused() {
    let mut settings = ClientSettings::default();
    settings.proxy = Some("not a proxy".to_owned());
    let error =
        TaskclusterDeployment::with_settings("http://127.0.0.1", settings).expect_err("no proxy");
    assert!(matches!(error, ClientError::Settings { .. }), "{error:?}");
}

#[test]
fn no_process_wide_crypto_provider() {
    TaskclusterDeployment::new("https://tc.example.com")
        .map(drop)
        .unwrap_or_default();
    assert!(rustls::crypto::CryptoProvider::get_default().is_none());
}

#[test]
fn handles_are_send_and_sync() {
    fn check<T: Send + Sync + Clone + 'static>() {}
    check::<Client>();
    check::<TaskclusterDeployment>();
    check::<runtime_client::Authorizer>();
}
