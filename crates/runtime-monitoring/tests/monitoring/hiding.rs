//! Credentials are hidden from the moment on at which they are there.

use runtime_core::{Credentials, CredentialsCell};
use runtime_ioext::log::Redactor;
use runtime_monitoring::redact_credentials;

#[tokio::test]
async fn each_new_access_token_is_hidden() {
    let cell = CredentialsCell::new(Some(Credentials::new("worker", "first-token")));
    let redactor = Redactor::new();
    let hiding = redact_credentials(cell.watch(), redactor.clone());
    assert_eq!(redactor.redact(b"a first-token"), b"a [REDACTED]");
    cell.set(Credentials::new("worker", "second-token"));
    while redactor.redact(b"second-token") != b"[REDACTED]" {
        tokio::task::yield_now().await;
    }
    // Requests with the old one may still be told of.
    assert_eq!(redactor.redact(b"first-token"), b"[REDACTED]");
    drop(hiding);
}
