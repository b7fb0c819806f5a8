//! Retried and final errors.

use super::*;

#[tokio::test]
async fn each_attempt_requests_a_new_url() {
    for status in [400, 403, 500, 503] {
        let server = with_store(move |put| {
            Reply::text(
                if put < 2 { status } else { 200 },
                "<Error>try again</Error>",
            )
        })
        .await;
        let content = bytes_of(300_000);
        let source = ArtifactSource::stream(Cursor::new(content.clone()));
        let uploaded = upload(&client(&server), &s3("a.zip", source)).await;
        assert_eq!(uploaded.expect("the third attempt").bytes, 300_000);
        let puts = puts(&server);
        assert_eq!(puts.len(), 3);
        assert!(puts.iter().all(|put| put.body == content));
        let urls: std::collections::BTreeSet<_> = puts.iter().map(|put| &put.target).collect();
        assert_eq!(urls.len(), 3);
    }
}

#[tokio::test]
async fn broken_connection_is_retried() {
    let server = with_store(|put| {
        if put < 2 {
            Reply::Hangup
        } else {
            Reply::text(200, "")
        }
    })
    .await;
    let source = ArtifactSource::Bytes(bytes_of(100));
    upload(&client(&server), &s3("a.log", source))
        .await
        .expect("the third attempt");
}

#[tokio::test]
async fn error_statuses_are_final_or_retried() {
    for status in [301, 304, 307, 404, 411, 413] {
        let server = with_store(move |_| {
            Reply::text(status, "<h1>Too\nlarge</h1>").with("location", "/store/elsewhere")
        })
        .await;
        let error = upload(
            &client(&server),
            &s3("a.zip", ArtifactSource::Bytes(bytes_of(9))),
        )
        .await
        .expect_err("refused");
        assert!(error.to_string().contains(&status.to_string()), "{error}");
        assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
        assert_eq!(puts(&server).len(), 1);
    }
}

#[tokio::test]
async fn entity_too_large_is_not_retried() {
    let answer =
        "<?xml version=\"1.0\"?><Error><Code>EntityTooLarge</Code><Message>no</Message></Error>";
    let server = with_store(move |_| Reply::text(400, answer)).await;
    let source = ArtifactSource::Bytes(bytes_of(300_000));
    let error = upload(&client(&server), &s3("a.zip", source))
        .await
        .expect_err("refused");
    assert!(!error.is_transient());
    let UploadError::Refused { code, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!(code.as_deref(), Some("EntityTooLarge"));
    assert_eq!(puts(&server).len(), 1);
}

#[tokio::test]
async fn store_retry_after_beyond_budget_fails() {
    let server = with_store(|put| match put {
        0 => Reply::text(503, "").with("retry-after", "0"),
        _ => Reply::text(503, "").with("retry-after", "3600"),
    })
    .await;
    let source = ArtifactSource::Bytes(bytes_of(9));
    let error = upload(&client(&server), &s3("a.zip", source))
        .await
        .expect_err("refused");
    assert!(error.is_transient());
    let UploadError::Refused { retry_after, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!(retry_after, Some(std::time::Duration::from_secs(3600)));
    assert_eq!(puts(&server).len(), 2);
}

#[tokio::test]
async fn attempts_are_limited() {
    let server = with_store(|_| Reply::text(500, "always")).await;
    let deployment = server.deployment_with(|settings| settings.upload_attempts = 3);
    let client = deployment.client(CredentialsWatch::fixed(None));
    let error = upload(&client, &s3("a.zip", ArtifactSource::Bytes(Bytes::new())))
        .await
        .expect_err("refused");
    let UploadError::Refused {
        status: 500,
        attempts: 3,
        message,
        ..
    } = error
    else {
        panic!("{error:?}")
    };
    assert_eq!(message, "always");
}

#[tokio::test]
async fn refused_declaration_sends_nothing() {
    let server = Server::start(|_, _| {
        Reply::json(
            409,
            json!({ "code": "RequestConflict", "message": "resolved" }),
        )
    })
    .await;
    let error = upload(
        &client(&server),
        &s3("a", ArtifactSource::Bytes(Bytes::new())),
    )
    .await
    .expect_err("refused");
    assert!(error.is_conflict() && !error.is_transient());
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn failed_tls_of_the_store_is_not_retried() {
    let server = Server::start(|_, request| {
        // The port has no TLS.
        let url = format!("https://{}/store", request.header("host"));
        let declared = json!({ "storageType": "s3", "putUrl": url, "contentType": "text/plain", "expires": TASK_EXPIRES });
        Reply::json(200, declared)
    })
    .await;
    // The client of an `http:` deployment works without root certificates, but then every store fails like this.
    let source = ArtifactSource::Bytes(bytes_of(100));
    let error = upload(&client(&server), &s3("a.log", source)).await;
    let error = error.expect_err("no TLS");
    assert!(!error.is_transient(), "{error:?}");
    assert!(
        matches!(
            error,
            UploadError::Send {
                attempts: 1,
                is_permanent: true,
                ..
            }
        ),
        "{error:?}"
    );
}
