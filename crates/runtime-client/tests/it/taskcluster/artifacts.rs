//! Artifacts of every kind, uploaded and read.

use runtime_core::artifact::UploadError;

use super::*;

#[tokio::test]
async fn s3_artifacts_round_trip() {
    let world = World::new().await;
    let task = world.running(json!({})).await;
    let folder = tempfile::tempdir().expect("a folder");
    let large: Bytes = std::iter::repeat_with(|| fastrand::u8(..))
        .take(3 << 20)
        .collect();
    let path = folder.path().join("large.zip");
    std::fs::write(&path, &large).expect("writes");
    let (short, long) = (Bytes::from(vec![b'a'; 1024]), Bytes::from(vec![b'a'; 1025]));
    let file = S3Artifact {
        content_type: "application/zip".to_owned(),
        encoding: ContentEncoding::Auto,
        headers: ArtifactHeaders::new(),
        source: ArtifactSource::File(path),
    };
    task.upload("public/large.zip", ArtifactBody::S3(file))
        .await;
    task.upload("public/short.log", s3(&short)).await;
    task.upload("public/long.log", s3(&long)).await;
    for (name, bytes, encoding) in [
        ("public/large.zip", &large, None),
        ("public/short.log", &short, None),
        ("public/long.log", &long, Some("gzip")),
    ] {
        let stored = world
            .taskcluster
            .read_artifact(task.run.task_id.as_str(), name)
            .await
            .expect("stored");
        assert_eq!(stored.content_encoding.as_deref(), encoding);
        assert!(stored.decoded().expect("decodes") == *bytes, "{name}");
    }
}

#[tokio::test]
async fn stream_and_headers_round_trip() {
    let world = World::new().await;
    let task = world.running(json!({})).await;
    let headers = [
        ("cache-control", "max-age=60"),
        ("content-disposition", "attachment; filename=\"a.txt\""),
        ("content-language", "de"),
    ];
    let set = |set: ArtifactHeaders, (name, value)| set.with(name, value).expect("supported");
    let content = S3Artifact {
        content_type: "text/plain".to_owned(),
        encoding: ContentEncoding::Gzip,
        headers: headers.into_iter().fold(ArtifactHeaders::new(), set),
        source: ArtifactSource::stream(std::io::Cursor::new("a line\n".repeat(100))),
    };
    task.upload("public/a.txt", ArtifactBody::S3(content)).await;
    let stored = world
        .taskcluster
        .read_artifact(task.run.task_id.as_str(), "public/a.txt")
        .await
        .expect("stored");
    for (name, value) in headers {
        assert_eq!(stored.headers[name], value);
    }
    assert_eq!(stored.headers["content-type"], "text/plain");
    assert_eq!(stored.headers["content-encoding"], "gzip");
    assert!(stored.decoded().expect("decodes") == "a line\n".repeat(100).as_bytes());
}

#[tokio::test]
async fn object_artifacts_round_trip() {
    let world = World::new().await;
    let task = world.running(json!({})).await;
    for length in [0, 1, 8 << 10, (8 << 10) + 1, 1 << 20] {
        let bytes: Bytes = std::iter::repeat_with(|| fastrand::u8(..))
            .take(length)
            .collect();
        let name = format!("public/{length}.bin");
        let source = ArtifactSource::stream(std::io::Cursor::new(bytes.clone()));
        let content = ObjectArtifact {
            content_type: "application/octet-stream".to_owned(),
            source,
        };
        let uploaded = task.upload(&name, ArtifactBody::Object(content)).await;
        let stored = world
            .taskcluster
            .read_artifact(task.run.task_id.as_str(), &name)
            .await
            .expect("stored");
        assert!(stored.bytes == bytes, "{length}");

        let content = world
            .client
            .artifact(&task.run.task_id, None, &name)
            .await
            .expect("it exists");
        let ArtifactContent::Object { name, credentials } = content else {
            panic!("{content:?}")
        };
        let download = world
            .client
            .start_download(&name, Some(&credentials))
            .await
            .expect("it exists");
        assert_eq!(download.hashes.get("sha256"), uploaded.sha256.as_ref());
        assert_eq!(download.hashes.get("sha512"), uploaded.sha512.as_ref());
        assert!(download.url.expose_secret().starts_with("http://127.0.0.1"));
    }
}

#[tokio::test]
async fn artifacts_without_bytes_are_declared() {
    let world = World::new().await;
    let task = world.running(json!({})).await;
    let url = "https://example.com/x".to_owned();
    task.upload("public/a.log", s3(&Bytes::from("a"))).await;
    task.upload(
        "public/ref",
        ArtifactBody::Reference(RedirectArtifact {
            content_type: "text/plain".to_owned(),
            url: url.clone(),
        }),
    )
    .await;
    let link = LinkArtifact {
        content_type: "text/plain".to_owned(),
        artifact: "public/a.log".to_owned(),
    };
    task.upload("public/link", ArtifactBody::Link(link)).await;
    let error = ErrorArtifact {
        reason: ArtifactErrorReason::FileMissing,
        message: "gone".to_owned(),
    };
    task.upload("public/error", ArtifactBody::Error(error))
        .await;

    let content = async |name| {
        world
            .client
            .artifact(&task.run.task_id, Some(0), name)
            .await
            .expect("it exists")
    };
    let ArtifactContent::Reference { url: found } = content("public/ref").await else {
        panic!("no reference")
    };
    assert_eq!(found.expose_secret(), url);
    assert!(matches!(
        content("public/link").await,
        ArtifactContent::S3 { .. }
    ));
    let ArtifactContent::Error { reason, message } = content("public/error").await else {
        panic!("no error")
    };
    assert_eq!(
        (reason, &*message),
        (ArtifactErrorReason::FileMissing, "gone")
    );

    let list = world
        .client
        .list_artifacts(&task.run)
        .await
        .expect("it exists");
    let mut kinds: Vec<_> = list.iter().map(|entry| &*entry.storage_type).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["error", "link", "reference", "s3"]);
}

#[tokio::test]
async fn upload_can_be_repeated() {
    let world = World::new().await;
    let task = world.running(json!({})).await;
    let large = Bytes::from(vec![1; 20_000]);
    for _ in 0..2 {
        task.upload("public/a.log", s3(&Bytes::from("a"))).await;
        task.upload("public/small.bin", object(&Bytes::from("b")))
            .await;
        task.upload("public/large.bin", object(&large)).await;
    }
}

#[tokio::test]
async fn object_is_immutable() {
    let world = World::new().await;
    let task = world.running(json!({})).await;
    task.upload("public/a.bin", object(&Bytes::from("first")))
        .await;
    let artifact = Artifact {
        name: "public/a.bin".to_owned(),
        expires: None,
        content: object(&Bytes::from("other")),
    };
    let again = task.client.upload(&task.run, task.expires, &artifact).await;
    let error = again.expect_err("objects are immutable");
    assert!(matches!(error, UploadError::ObjectExists { .. }), "{error}");
    assert!(!error.is_transient());
}

#[tokio::test]
async fn ascii_names_round_trip() {
    let world = World::new().await;
    let task = world.running(json!({})).await;
    for name in [
        "public/a b.log",
        "public/a/b?x=1&y#z.log",
        "private/100%25.log",
        "x+y",
    ] {
        task.upload(name, s3(&Bytes::from(name.to_owned()))).await;
        let stored = world
            .taskcluster
            .read_artifact(task.run.task_id.as_str(), name)
            .await
            .expect(name);
        assert!(stored.decoded().expect("decodes") == *name.as_bytes());
    }
}
