//! The requests for each kind of artifact.

use super::*;

#[tokio::test]
async fn identity_upload_has_length_and_hashes() {
    for length in [0, 1, 128 << 10, (3 << 20) + 17] {
        let server = good_store().await;
        let content = bytes_of(length);
        let folder = tempfile::tempdir().expect("a folder");
        let path = file(folder.path(), "a", &content);
        for source in [
            ArtifactSource::Bytes(content.clone()),
            ArtifactSource::File(path.clone()),
            ArtifactSource::stream(std::fs::File::open(path).expect("opens")),
        ] {
            let uploaded = upload(&client(&server), &s3("public/a.png", source))
                .await
                .expect("success");
            assert_eq!(uploaded.bytes, length as u64);
            assert_eq!(
                uploaded.sha256.as_deref(),
                Some(&*hex(Sha256::digest(&content)))
            );
            assert_eq!(
                uploaded.sha512.as_deref(),
                Some(&*hex(Sha512::digest(&content)))
            );
            let put = puts(&server).pop().expect("an upload");
            assert!(put.body == content, "{length} bytes arrive as they are");
            assert_eq!(put.header("content-length"), length.to_string());
            assert_eq!(put.header("transfer-encoding"), "");
            assert_eq!(put.header("content-encoding"), "");
            assert_eq!(put.header("content-type"), "text/plain; charset=utf-8");
            assert_eq!(
                put.header("authorization"),
                "",
                "the URL is signed, the request must not be"
            );
        }
    }
}

#[tokio::test]
async fn compressed_upload_reports_original_digests() {
    // Random bytes exceed the memory limit for a copy, so copies in memory and on disk are both tested.
    let noise = std::iter::repeat_with(|| fastrand::u8(..))
        .take(2 << 20)
        .collect();
    for content in [Bytes::from("a line\n".repeat(1000)), noise] {
        for source in [
            ArtifactSource::Bytes(content.clone()),
            ArtifactSource::stream(Cursor::new(content.clone())),
        ] {
            let server = good_store().await;
            let uploaded = upload(&client(&server), &s3("public/a.log", source))
                .await
                .expect("success");
            assert_eq!(uploaded.bytes, content.len() as u64);
            assert_eq!(
                uploaded.sha256.as_deref(),
                Some(&*hex(Sha256::digest(&content)))
            );
            assert_eq!(server.requests()[0].json()["contentLength"], content.len());
            let put = puts(&server).pop().expect("an upload");
            assert_eq!(put.header("content-encoding"), "gzip");
            assert_eq!(put.header("content-length"), put.body.len().to_string());
            assert!(gunzipped(&put.body) == content);
        }
    }
}

#[tokio::test]
async fn compressed_source_is_sent_unchanged() {
    let server = good_store().await;
    let source = ArtifactSource::Bytes(Bytes::from_static(b"compressed"));
    let mut artifact = s3("public/a.log", source);
    if let ArtifactBody::S3(content) = &mut artifact.content {
        content.encoding = ContentEncoding::Gzipped { original_bytes: 77 };
    }
    let uploaded = upload(&client(&server), &artifact).await.expect("success");
    assert_eq!(uploaded.bytes, 10);
    assert_eq!(server.requests()[0].json()["contentLength"], 77);
    let put = puts(&server).pop().expect("an upload");
    assert_eq!(put.header("content-encoding"), "gzip");
    assert_eq!(put.body, "compressed");
}

#[tokio::test]
async fn additional_headers_are_sent() {
    let headers = ArtifactHeaders::new()
        .with("content-disposition", "attachment")
        .and_then(|headers| headers.with("cache-control", "max-age=60"))
        .expect("supported headers");
    for (encoding, sent) in [
        (ContentEncoding::Identity, ""),
        (ContentEncoding::Gzip, "gzip"),
    ] {
        let server = good_store().await;
        let mut artifact = s3("public/a.log", ArtifactSource::Bytes(bytes_of(9)));
        if let ArtifactBody::S3(content) = &mut artifact.content {
            content.headers = headers.clone();
            content.encoding = encoding;
        }
        upload(&client(&server), &artifact).await.expect("success");
        let put = puts(&server).pop().expect("an upload");
        assert_eq!(put.header("content-disposition"), "attachment");
        assert_eq!(put.header("cache-control"), "max-age=60");
        assert_eq!(put.header("content-encoding"), sent);
        assert_eq!(put.header("content-type"), "text/plain; charset=utf-8");
    }
}

#[tokio::test]
async fn expiry_is_limited_by_task() {
    let server = good_store().await;
    for (asked, sent) in [
        (None, "2027-01-01T00:00:00.123Z"),
        (Some("2028-01-01T00:00:00Z"), "2027-01-01T00:00:00.123Z"),
        (Some("2026-01-01T00:00:00Z"), "2026-01-01T00:00:00Z"),
    ] {
        let mut artifact = s3("a.zip", ArtifactSource::Bytes(Bytes::new()));
        artifact.expires = asked.map(|expires| expires.parse().expect("a time"));
        upload(&client(&server), &artifact).await.expect("success");
        let declarations = server.requests();
        let declaration = declarations
            .iter()
            .rfind(|request| request.method == Method::POST)
            .expect("declared");
        assert_eq!(declaration.json()["expires"], sent);
    }
}

#[tokio::test]
async fn other_kinds_are_only_declared() {
    let server = Server::start(|_, request| {
        Reply::json(200, json!({ "storageType": request.json()["storageType"] }))
    })
    .await;
    let kinds = [
        ArtifactBody::Reference(RedirectArtifact {
            content_type: "text/html".to_owned(),
            url: "https://example.com".to_owned(),
        }),
        ArtifactBody::Link(LinkArtifact {
            content_type: "text/plain".to_owned(),
            artifact: "public/b".to_owned(),
        }),
        ArtifactBody::Error(ErrorArtifact {
            reason: ArtifactErrorReason::NotReadable,
            message: "ä".repeat(5000),
        }),
    ];
    for content in kinds {
        let artifact = Artifact {
            name: "public/a".to_owned(),
            expires: None,
            content,
        };
        assert_eq!(
            upload(&client(&server), &artifact).await.expect("success"),
            Uploaded::default()
        );
    }
    let sent: Vec<_> = server
        .requests()
        .iter()
        .map(ReceivedRequest::json)
        .collect();
    let expires = "2027-01-01T00:00:00.123Z";
    assert_eq!(
        sent[0],
        json!({ "storageType": "reference", "contentType": "text/html", "url": "https://example.com", "expires": expires })
    );
    assert_eq!(
        sent[1],
        json!({ "storageType": "link", "contentType": "text/plain", "artifact": "public/b", "expires": expires })
    );
    assert_eq!(sent[2]["reason"], "file-not-readable-on-worker");
    assert_eq!(sent[2]["message"], "ä".repeat(4096));
}
