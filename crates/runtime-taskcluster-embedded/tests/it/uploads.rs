//! Uploads and downloads of artifact content.

use std::io::Write;
use std::time::Duration;

use crate::support::artifacts::{HOUR, location, put, put_url, running};
use crate::support::{Client, create, http, later, start};
use flate2::Compression;
use flate2::write::GzEncoder;
use runtime_taskcluster_embedded::{ArtifactKind, Taskcluster};
use serde_json::json;

#[tokio::test]
async fn upload_keeps_bytes_and_headers() {
    let (taskcluster, task_id, worker) = running().await;
    let text = b"hello artifact\n".repeat(1000);
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(&text).unwrap();
    let zipped = gzip.finish().unwrap();
    let url = put_url(&taskcluster, &task_id, &worker, "public/a.txt").await;
    let headers = [
        ("content-type", "text/plain"),
        ("content-encoding", "gzip"),
        ("content-disposition", "attachment"),
        ("content-language", "en"),
        ("cache-control", "max-age=60"),
    ];
    assert_eq!(put(&url, &headers, zipped.clone()).await.status(), 200);

    let path = format!("/api/queue/v1/task/{task_id}/artifacts/public/a.txt");
    let found = location(&Client::anonymous(&taskcluster).get(&path).await);
    let got = http().get(found).send().await.unwrap();
    for (name, value) in headers {
        assert_eq!(got.headers()[name], value);
    }
    assert_eq!(got.bytes().await.unwrap(), zipped);
    let stored = taskcluster
        .read_artifact(&task_id, "public/a.txt")
        .await
        .unwrap();
    assert_eq!(stored.decoded().unwrap(), text);
}

#[tokio::test]
async fn range_request_returns_a_part() {
    let (taskcluster, task_id, worker) = running().await;
    // In memory, and in a file.
    for (name, length) in [("public/a", 10), ("public/b", 10_000)] {
        let url = put_url(&taskcluster, &task_id, &worker, name).await;
        let content = b"0123456789".repeat(length / 10);
        assert_eq!(put(&url, &[], content.clone()).await.status(), 200);
        let path = format!("/api/queue/v1/task/{task_id}/artifacts/{name}");
        let found = location(&worker.get(&path).await);
        let whole = http().get(&found).send().await.unwrap();
        assert_eq!(whole.bytes().await.unwrap(), content);
        let part = |range: String| http().get(&found).header("range", range).send();
        let middle = part("bytes=2-4".to_owned()).await.unwrap();
        assert_eq!(middle.status().as_u16(), 206);
        let range = format!("bytes 2-4/{length}");
        assert_eq!(middle.headers()["content-range"], *range);
        assert_eq!(middle.bytes().await.unwrap(), "234");
        let last = part("bytes=-3".to_owned()).await.unwrap();
        assert_eq!(last.bytes().await.unwrap(), "789");
        let behind = part(format!("bytes={length}-")).await.unwrap();
        assert_eq!(behind.status(), 416);
    }
}

#[tokio::test]
async fn upload_url_expires_with_the_clock() {
    let (taskcluster, task_id, worker) = running().await;
    let url = put_url(&taskcluster, &task_id, &worker, "public/a").await;
    taskcluster.advance(Duration::from_secs(46 * 60));
    let response = put(&url, &[], b"late".to_vec()).await;
    assert_eq!(response.status(), 403);
    assert!(
        response
            .text()
            .await
            .unwrap()
            .contains("Request has expired")
    );
}

#[tokio::test]
async fn presigned_url_fits_one_request() {
    let (taskcluster, task_id, worker) = running().await;
    let url = put_url(&taskcluster, &task_id, &worker, "private/a").await;
    let elsewhere = url.replace("private/a", "private/b");
    let response = put(&elsewhere, &[], b"x".to_vec()).await;
    assert_eq!(response.status(), 403);
    assert!(
        response
            .text()
            .await
            .unwrap()
            .contains("SignatureDoesNotMatch")
    );
    assert_eq!(http().get(&url).send().await.unwrap().status(), 403);
}

#[tokio::test]
async fn upload_without_length_is_rejected() {
    let (taskcluster, task_id, worker) = running().await;
    let url = put_url(&taskcluster, &task_id, &worker, "public/a").await;
    let chunks =
        reqwest::Body::wrap_stream(futures_util::stream::iter([Ok::<_, std::io::Error>("x")]));
    let response = http().put(url).body(chunks).send().await.unwrap();
    assert_eq!(response.status(), 411);
}

#[tokio::test]
async fn interrupted_upload_keeps_the_previous_one() {
    use tokio::io::AsyncWriteExt;

    let (taskcluster, task_id, worker) = running().await;
    let url = put_url(&taskcluster, &task_id, &worker, "public/a").await;
    put(&url, &[], b"whole".to_vec()).await;
    let target = url.strip_prefix(taskcluster.root_url()).unwrap();
    let address = taskcluster.root_url().trim_start_matches("http://");
    let mut broken = tokio::net::TcpStream::connect(address).await.unwrap();
    let head =
        format!("PUT {target} HTTP/1.1\r\nhost: {address}\r\ncontent-length: 100\r\n\r\npart");
    broken.write_all(head.as_bytes()).await.unwrap();
    broken.shutdown().await.unwrap();
    // After the response or the end of the connection the server has processed the upload.
    let mut rest = Vec::new();
    tokio::io::AsyncReadExt::read_to_end(&mut broken, &mut rest)
        .await
        .unwrap();
    assert!(!rest.starts_with(b"HTTP/1.1 200"));
    let stored = taskcluster
        .read_artifact(&task_id, "public/a")
        .await
        .unwrap();
    assert_eq!(stored.bytes, b"whole");
}

#[tokio::test]
async fn strict_upload_matches_its_declaration() {
    let taskcluster = Taskcluster::builder()
        .strict_uploads(true)
        .start()
        .await
        .unwrap();
    let task_id = create(&taskcluster, json!({}));
    let (_, worker) = Client::root(&taskcluster).claim_one().await;
    let url = put_url(&taskcluster, &task_id, &worker, "public/a").await;
    assert_eq!(
        put(&url, &[("content-type", "text/html")], b"x".to_vec())
            .await
            .status(),
        403
    );
    assert_eq!(
        put(&url, &[("content-type", "text/plain")], b"x".to_vec())
            .await
            .status(),
        200
    );
}

#[tokio::test]
async fn private_artifact_requires_a_scope() {
    let (taskcluster, task_id, worker) = running().await;
    let url = put_url(&taskcluster, &task_id, &worker, "private/a").await;
    put(&url, &[], b"secret".to_vec()).await;
    let path = format!("/api/queue/v1/task/{task_id}/runs/0/artifacts/private%2Fa");
    assert_eq!(Client::anonymous(&taskcluster).get(&path).await.status, 403);
    let found = location(&Client::root(&taskcluster).get(&path).await);
    assert_eq!(
        http()
            .get(&found)
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap(),
        "secret"
    );
    let unsigned = found.split('?').next().unwrap();
    assert_eq!(http().get(unsigned).send().await.unwrap().status(), 403);
}

#[tokio::test]
async fn object_is_visible_after_both_finish_calls() {
    let (taskcluster, task_id, worker) = running().await;
    let body = json!({
        "storageType": "object", "contentType": "text/plain", "expires": later(&taskcluster, HOUR),
    });
    let made = worker.artifact(&task_id, "public/o", body).await.body;
    let uploader = worker.with_credentials(&made["credentials"]);
    let name = made["name"].as_str().unwrap().replace('/', "%2F");
    let ids = json!({ "projectId": made["projectId"], "uploadId": made["uploadId"] });
    let mut wish = ids.clone();
    wish["expires"] = made["expires"].clone();
    wish["proposedUploadMethods"] =
        json!({ "putUrl": { "contentType": "text/plain", "contentLength": 4 } });
    let method = uploader
        .put(&format!("/api/object/v1/upload/{name}"), wish)
        .await
        .body;
    let url = method["uploadMethod"]["putUrl"]["url"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        put(&url, &[("content-type", "text/html")], b"data".to_vec())
            .await
            .status(),
        403
    );
    assert_eq!(
        put(&url, &[("content-type", "text/plain")], b"data".to_vec())
            .await
            .status(),
        200
    );

    let path = format!("/api/queue/v1/task/{task_id}/runs/0/artifacts/public%2Fo");
    let finish = json!({ "uploadId": made["uploadId"] });
    assert_eq!(
        worker.put(&path, finish.clone()).await.status,
        400,
        "before finishUpload"
    );
    let finished = uploader
        .post(&format!("/api/object/v1/finish-upload/{name}"), ids)
        .await;
    assert_eq!(finished.status, 200);
    assert_eq!(worker.get(&path).await.status, 404, "before finishArtifact");
    assert_eq!(worker.put(&path, finish.clone()).await.status, 204);
    assert_eq!(worker.put(&path, finish).await.status, 204, "a repetition");
    let found = location(&worker.get(&path).await);
    assert_eq!(
        http()
            .get(found)
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap(),
        "data"
    );
    let kinds = taskcluster.artifacts(&task_id, 0).unwrap();
    assert!(matches!(
        kinds[0].kind,
        ArtifactKind::Object { finished: true, .. }
    ));
}

#[tokio::test]
async fn object_has_hashes_of_known_algorithms_only() {
    let (taskcluster, client) = start().await;
    let ids = json!({ "projectId": "p", "uploadId": "CFAKnfgiTSGBc9lIjR5CnQ" });
    let mut upload = ids.clone();
    upload["expires"] = json!(later(&taskcluster, HOUR));
    upload["proposedUploadMethods"] = json!({});
    let path = "/api/object/v1/upload/a";
    let (sha256, sha512) = ("a".repeat(64), "b".repeat(128));
    for n in 0..100 {
        upload["hashes"] = json!({ "sha256": sha256, (format!("sha{n}")): "0" });
        let refused = client.put(path, upload.clone()).await;
        assert_eq!(refused.status, 400, "{:?}", refused.body);
        let expected = format!("must NOT have additional properties: \"sha{n}\"");
        assert!(
            refused.message().contains(&expected),
            "{}",
            refused.message()
        );
    }
    for hashes in [json!({ "sha256": sha256 }), json!({ "sha512": sha512 })] {
        upload["hashes"] = hashes;
        let accepted = client.put(path, upload.clone()).await;
        assert_eq!(accepted.status, 200, "{:?}", accepted.body);
    }
    upload["hashes"] = json!({ "sha256": &sha512[..64] });
    assert_eq!(client.put(path, upload).await.status, 409, "another value");
    let finish = "/api/object/v1/finish-upload/a";
    assert_eq!(client.post(finish, ids).await.status, 200);
    let found = client.get("/api/object/v1/metadata/a").await.body;
    let expected = json!({ "sha256": sha256, "sha512": sha512 });
    assert_eq!(found["hashes"], expected);
}
