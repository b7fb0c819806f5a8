//! Uploads to a queue and a store that answer as each test tells them to.

mod support;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::Method;
use runtime_client::Client;
use runtime_core::artifact::{
    Artifact, ArtifactBody, ArtifactSource, ArtifactUploader, ContentEncoding, ErrorArtifact,
    LinkArtifact, RedirectArtifact, S3Artifact, UploadError, Uploaded,
};
use runtime_core::queue::ArtifactErrorReason;
use runtime_core::{Credentials, CredentialsWatch, Run, TaskId};
use serde_json::json;
use sha2::{Digest, Sha256, Sha512};
use support::{Reply, Seen, Server};
use tokio::sync::Barrier;

const TASK_EXPIRES: &str = "2027-01-01T00:00:00.123456789Z";

fn run() -> Run {
    Run {
        task_id: TaskId::random(),
        run_id: 3,
    }
}

fn client(server: &Server) -> Client {
    server
        .deployment()
        .client(CredentialsWatch::fixed(Some(Credentials::new(
            "task", "secret",
        ))))
}

fn s3(name: &str, source: ArtifactSource) -> Artifact {
    let content_type = "text/plain; charset=utf-8".to_owned();
    let content = ArtifactBody::S3(S3Artifact {
        content_type,
        encoding: ContentEncoding::Auto,
        source,
    });
    Artifact {
        name: name.to_owned(),
        expires: None,
        content,
    }
}

fn bytes_of(length: usize) -> Bytes {
    (0..length).map(|n| (n * n / 255) as u8).collect()
}

async fn upload(client: &Client, artifact: &Artifact) -> Result<Uploaded, UploadError> {
    client
        .upload(&run(), TASK_EXPIRES.parse().expect("a time"), artifact)
        .await
}

/// The queue's part: a URL of its own for each declaration.
fn declared(number: usize, seen: &Seen) -> Reply {
    let url = format!(
        "http://{}/store/{number}?signature=s3cret",
        seen.header("host")
    );
    let content_type = seen.json()["contentType"].clone();
    Reply::json(
        200,
        json!({ "storageType": "s3", "putUrl": url, "contentType": content_type, "expires": "2026-01-01T00:00:00Z" }),
    )
}

/// A queue, with a store that answers as told.
async fn with_store(answer: impl Fn(usize) -> Reply + Send + Sync + 'static) -> Server {
    let puts = AtomicUsize::new(0);
    Server::start(move |number, seen| match seen.method {
        Method::PUT => answer(puts.fetch_add(1, Ordering::Relaxed)),
        _ => declared(number, seen),
    })
    .await
}

async fn good_store() -> Server {
    with_store(|_| Reply::text(200, "")).await
}

fn puts(server: &Server) -> Vec<Seen> {
    server
        .seen()
        .into_iter()
        .filter(|seen| seen.method == Method::PUT)
        .collect()
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn gunzipped(bytes: &[u8]) -> Vec<u8> {
    let mut decoder = flate2::write::GzDecoder::new(Vec::new());
    decoder.write_all(bytes).expect("gzip");
    decoder.finish().expect("whole gzip")
}

fn file(folder: &Path, name: &str, content: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, content).expect("writes");
    path
}

#[tokio::test]
async fn identity_bytes_arrive_with_their_length_and_are_hashed_on_the_way() {
    for length in [0, 1, 128 << 10, (3 << 20) + 17] {
        let server = good_store().await;
        let content = bytes_of(length);
        let folder = tempfile::tempdir().expect("a folder");
        let path = file(folder.path(), "a", &content);
        for source in [
            ArtifactSource::Bytes(content.clone()),
            ArtifactSource::File(path),
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
async fn texts_travel_compressed_and_are_described_as_they_were() {
    // Noise grows over what the copy may take of memory, so both kinds of copy are used.
    let noise = std::iter::repeat_with(|| fastrand::u8(..))
        .take(2 << 20)
        .collect();
    for content in [Bytes::from("a line\n".repeat(1000)), noise] {
        let server = good_store().await;
        let source = ArtifactSource::Bytes(content.clone());
        let uploaded = upload(&client(&server), &s3("public/a.log", source))
            .await
            .expect("success");
        assert_eq!(uploaded.bytes, content.len() as u64);
        assert_eq!(
            uploaded.sha256.as_deref(),
            Some(&*hex(Sha256::digest(&content)))
        );
        assert_eq!(server.seen()[0].json()["contentLength"], content.len());
        let put = puts(&server).pop().expect("an upload");
        assert_eq!(put.header("content-encoding"), "gzip");
        assert_eq!(put.header("content-length"), put.body.len().to_string());
        assert!(gunzipped(&put.body) == content);
    }
}

#[tokio::test]
async fn no_artifact_outlives_its_task() {
    let server = good_store().await;
    for (asked, sent) in [
        (None, "2027-01-01T00:00:00.123Z"),
        (Some("2028-01-01T00:00:00Z"), "2027-01-01T00:00:00.123Z"),
        (Some("2026-01-01T00:00:00Z"), "2026-01-01T00:00:00Z"),
    ] {
        let mut artifact = s3("a.zip", ArtifactSource::Bytes(Bytes::new()));
        artifact.expires = asked.map(|expires| expires.parse().expect("a time"));
        upload(&client(&server), &artifact).await.expect("success");
        let declarations = server.seen();
        let declaration = declarations
            .iter()
            .rfind(|seen| seen.method == Method::POST)
            .expect("declared");
        assert_eq!(declaration.json()["expires"], sent);
    }
}

#[tokio::test]
async fn other_kinds_are_declared_and_no_more() {
    let server = Server::start(|_, seen| {
        Reply::json(200, json!({ "storageType": seen.json()["storageType"] }))
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
    let sent: Vec<_> = server.seen().iter().map(Seen::json).collect();
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

#[tokio::test]
async fn each_attempt_asks_for_a_url_of_its_own() {
    for status in [400, 403, 500, 503] {
        let server = with_store(move |put| {
            Reply::text(
                if put < 2 { status } else { 200 },
                "<Error>try again</Error>",
            )
        })
        .await;
        let content = bytes_of(300_000);
        let uploaded = upload(
            &client(&server),
            &s3("a.zip", ArtifactSource::Bytes(content.clone())),
        )
        .await;
        assert_eq!(uploaded.expect("the third attempt").bytes, 300_000);
        let puts = puts(&server);
        assert_eq!(puts.len(), 3);
        assert!(puts.iter().all(|put| put.body == content));
        let urls: std::collections::BTreeSet<_> = puts.iter().map(|put| &put.target).collect();
        assert_eq!(urls.len(), 3);
    }
}

#[tokio::test]
async fn a_broken_connection_is_tried_again() {
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
async fn anything_but_success_is_a_failure_and_some_are_final() {
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
async fn attempts_end() {
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
async fn nothing_is_sent_when_the_queue_refuses() {
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
    assert_eq!(server.seen().len(), 1);
}

/// Uploads a file that changes between its declaration and its upload.
async fn upload_while(
    name: &str,
    change: impl Fn(&Path) + Send + Sync + 'static,
) -> (Result<Uploaded, UploadError>, usize) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = file(folder.path(), "file", &bytes_of(500_000));
    let changing = path.clone();
    let server = Server::start(move |number, seen| {
        if seen.method == Method::PUT {
            return Reply::text(200, "");
        }
        change(&changing);
        declared(number, seen)
    })
    .await;
    let outcome = upload(&client(&server), &s3(name, ArtifactSource::File(path))).await;
    (outcome, puts(&server).len())
}

fn append(path: &Path) {
    let mut file = std::fs::File::options()
        .append(true)
        .open(path)
        .expect("opens");
    file.write_all(b"more").expect("writes");
}

fn cut(path: &Path) {
    let file = std::fs::File::options()
        .write(true)
        .open(path)
        .expect("opens");
    file.set_len(400_000).expect("cuts");
}

fn rewrite(path: &Path) {
    let file = std::fs::File::options()
        .write(true)
        .open(path)
        .expect("opens");
    file.set_modified(std::time::SystemTime::UNIX_EPOCH)
        .expect("sets the time");
}

#[tokio::test]
async fn a_source_that_changes_is_an_error_and_never_arrives_whole() {
    for (change, later) in [
        (append as fn(&Path), 500_004),
        (cut, 400_000),
        (rewrite, 500_000),
    ] {
        let (outcome, arrived) = upload_while("a.zip", change).await;
        let error = outcome.expect_err("it changed");
        let UploadError::Changed {
            expected: 500_000,
            found,
            ..
        } = error
        else {
            panic!("{error:?}")
        };
        assert_eq!((found, arrived), (later, 0));
    }
}

#[tokio::test]
async fn a_compressed_copy_does_not_mind_what_happens_to_its_source_later() {
    let (outcome, arrived) = upload_while("a.log", append).await;
    assert_eq!((outcome.expect("success").bytes, arrived), (500_000, 1));
}

#[tokio::test]
async fn what_is_no_readable_plain_file_becomes_the_right_error_artifact() {
    let server = good_store().await;
    let folder = tempfile::tempdir().expect("a folder");
    let mut cases = vec![
        (
            folder.path().join("missing"),
            ArtifactErrorReason::FileMissing,
        ),
        (
            folder.path().to_owned(),
            ArtifactErrorReason::InvalidResource,
        ),
    ];
    cases.extend(unix_cases(folder.path()));
    for (path, reason) in cases {
        let error = upload(
            &client(&server),
            &s3("a.log", ArtifactSource::File(path.clone())),
        )
        .await
        .expect_err("unreadable");
        let artifact = error
            .to_error_artifact()
            .unwrap_or_else(|| panic!("{error:?}"));
        assert_eq!(artifact.reason, reason, "{}", path.display());
    }
    assert!(
        server.seen().is_empty(),
        "nothing is declared before the source is open"
    );
}

#[cfg(unix)]
fn unix_cases(folder: &Path) -> Vec<(PathBuf, ArtifactErrorReason)> {
    let link = folder.join("link");
    std::os::unix::fs::symlink(file(folder, "target", b"secret"), &link).expect("links");
    let pipe = folder.join("pipe");
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    #[cfg(target_os = "linux")]
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, mode).expect("makes a pipe");
    let mut cases = vec![
        (link, ArtifactErrorReason::InvalidResource),
        (
            PathBuf::from("/dev/null"),
            ArtifactErrorReason::InvalidResource,
        ),
    ];
    if cfg!(target_os = "linux") {
        cases.push((pipe, ArtifactErrorReason::InvalidResource));
    }
    cases
}

#[cfg(not(unix))]
fn unix_cases(_: &Path) -> Vec<(PathBuf, ArtifactErrorReason)> {
    Vec::new()
}

#[tokio::test]
async fn a_full_disk_for_copies_is_named() {
    let server = good_store().await;
    let deployment = server
        .deployment_with(|settings| settings.spool_folder = Some(PathBuf::from("/nowhere/at/all")));
    let client = deployment.client(CredentialsWatch::fixed(None));
    let noise: Bytes = std::iter::repeat_with(|| fastrand::u8(..))
        .take(2 << 20)
        .collect();
    let error = upload(&client, &s3("a.log", ArtifactSource::Bytes(noise)))
        .await
        .expect_err("no folder");
    assert!(
        runtime_core::chain(&error).contains("compressed copy"),
        "{error:?}"
    );
}

#[tokio::test]
async fn uploads_of_all_clients_share_one_limit() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (barrier, highest) = (Arc::new(Barrier::new(3)), Arc::clone(&most));
    let server = Server::start_async(move |number, seen| {
        let (now, highest, barrier) =
            (Arc::clone(&now), Arc::clone(&highest), Arc::clone(&barrier));
        async move {
            if seen.method != Method::PUT {
                return declared(number, &seen);
            }
            highest.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            barrier.wait().await;
            now.fetch_sub(1, Ordering::SeqCst);
            Reply::text(200, "")
        }
    })
    .await;
    let deployment = server.deployment_with(|settings| settings.concurrent_uploads = 3);
    let uploads = (0..12).map(|number| {
        let client = deployment.client(CredentialsWatch::fixed(None));
        async move {
            upload(
                &client,
                &s3(
                    &format!("{number}.zip"),
                    ArtifactSource::Bytes(Bytes::new()),
                ),
            )
            .await
        }
    });
    let outcomes = runtime_core::util::join_with_limit(12, uploads).await;
    assert!(outcomes.iter().all(Result::is_ok));
    assert_eq!(most.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn the_url_is_kept_out_of_errors() {
    let server = with_store(|_| Reply::Hangup).await;
    let deployment = server.deployment_with(|settings| settings.upload_attempts = 1);
    let client = deployment.client(CredentialsWatch::fixed(None));
    let error = upload(&client, &s3("a.zip", ArtifactSource::Bytes(Bytes::new())))
        .await
        .expect_err("broken");
    let text = format!("{} {error:?}", runtime_core::chain(&error));
    assert!(!text.contains("s3cret"), "{text}");
}
