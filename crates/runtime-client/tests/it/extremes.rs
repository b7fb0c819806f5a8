//! Extreme settings and delays, and servers that a retry cannot reach.

use std::time::Duration;

use runtime_client::{ClientError, ClientSettings, TaskclusterDeployment};
use runtime_core::ApiError;
use runtime_core::queue::{Queue as _, TaskState};

use crate::calls::{ask, signed, status, task_id};
use crate::support::{Reply, Server, fast_retries};

#[tokio::test]
async fn failed_tls_is_not_retried() {
    // A server without TLS.
    let server = Server::start(|_, _| Reply::text(200, "")).await;
    let url = server.url.replace("http:", "https:");
    let deployment = match TaskclusterDeployment::with_settings(&url, fast_retries()) {
        Err(ClientError::Tls(_)) => return, // a machine without root certificates
        deployment => deployment.expect("a root URL"),
    };
    let client = deployment.client(signed());
    let error = client.status(&task_id()).await.expect_err("no TLS");
    assert!(matches!(error, ApiError::Tls { .. }), "{error:?}");
    assert!(!error.is_transient());
}

#[tokio::test]
async fn extreme_durations_are_no_overflow() {
    type Change = fn(&mut ClientSettings, Duration);
    let changes: [Change; 7] = [
        |settings, value| settings.retry.first_delay = value,
        |settings, value| settings.retry.max_delay = value,
        |settings, value| settings.retry.budget = value,
        |settings, value| settings.request_timeout = value,
        |settings, value| settings.connect_timeout = value,
        |settings, value| settings.credentials_wait = value,
        |settings, value| settings.stall_timeout = value,
    ];
    for value in [Duration::ZERO, Duration::from_nanos(1), Duration::MAX] {
        for (index, change) in changes.iter().enumerate() {
            let server = Server::start(|number, _| match number {
                0 => Reply::text(503, "").with("retry-after", "0"),
                1 => Reply::text(401, ""),
                _ => Reply::json(200, status()),
            })
            .await;
            let deployment = server.deployment_with(|settings| {
                // The call waits for a moment only if a delay is not under test.
                settings.credentials_wait = Duration::from_millis(1);
                change(settings, value);
            });
            let (client, task_id) = (deployment.client(signed()), task_id());
            let call = client.status(&task_id);
            // An endless delay is fine, a panic is not.
            let outcome = tokio::time::timeout(Duration::from_millis(100), call).await;
            if let Ok(Err(error)) = outcome {
                let is_expected = error.is_transient() || error.status() == Some(401);
                assert!(is_expected, "setting {index} at {value:?}: {error}");
            }
        }
    }
}

#[tokio::test]
async fn extreme_retry_after_ends_the_call() {
    for value in ["86400", "18446744073709551615", "99999999999999999999999"] {
        let (outcome, requests) =
            ask(move |_, _| Reply::text(503, "").with("retry-after", value)).await;
        assert_eq!(outcome.expect_err("unavailable").status(), Some(503));
        assert_eq!(requests.len(), 1, "{value}");
    }
    for value in ["0", "1"] {
        let (outcome, requests) = ask(move |number, _| match number {
            0 => Reply::text(503, "").with("retry-after", value),
            _ => Reply::json(200, status()),
        })
        .await;
        assert_eq!(outcome.expect("retried"), TaskState::Running);
        assert_eq!(requests.len(), 2, "{value}");
    }
}
