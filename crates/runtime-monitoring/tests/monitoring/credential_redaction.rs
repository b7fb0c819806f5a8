//! Credentials are redacted as soon as they are set.

use runtime_core::{Credentials, CredentialsCell};
use runtime_ioext::log::Redactor;
use runtime_monitoring::redact_credentials;

#[tokio::test]
async fn new_access_tokens_are_redacted() {
    let cell = CredentialsCell::new(Some(Credentials::new("worker", "first-token")));
    let redactor = Redactor::new();
    let hiding = redact_credentials(cell.watch(), redactor.clone());
    assert_eq!(redactor.redact(b"a first-token"), b"a [REDACTED]");
    cell.set(Credentials::new("worker", "second-token"));
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(redactor.redact(b"second-token"), b"[REDACTED]");
    // A log line may still contain the old one.
    assert_eq!(redactor.redact(b"first-token"), b"[REDACTED]");
    drop(hiding);
}
