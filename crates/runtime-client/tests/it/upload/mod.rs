//! Uploads to a queue and a store with responses defined by each test.

mod attempts;
mod kinds;
mod sources;

use std::io::{Cursor, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::{ReceivedRequest, Reply, Server};
use bytes::Bytes;
use http::Method;
use runtime_client::Client;
use runtime_core::artifact::{
    Artifact, ArtifactBody, ArtifactHeaders, ArtifactSource, ArtifactUploader, ContentEncoding,
    ErrorArtifact, LinkArtifact, RedirectArtifact, S3Artifact, UploadError, Uploaded,
};
use runtime_core::queue::ArtifactErrorReason;
use runtime_core::{Credentials, CredentialsWatch, Run, TaskId};
use serde_json::json;
use sha2::{Digest, Sha256, Sha512};
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
        headers: ArtifactHeaders::new(),
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

/// The response of the queue to a declaration: a different URL for each.
fn declared(number: usize, request: &ReceivedRequest) -> Reply {
    let url = format!(
        "http://{}/store/{number}?signature=s3cret",
        request.header("host")
    );
    let content_type = request.json()["contentType"].clone();
    Reply::json(
        200,
        json!({ "storageType": "s3", "putUrl": url, "contentType": content_type, "expires": "2026-01-01T00:00:00Z" }),
    )
}

/// Starts a queue, with a store that responds with `answer`.
async fn with_store(answer: impl Fn(usize) -> Reply + Send + Sync + 'static) -> Server {
    let puts = AtomicUsize::new(0);
    Server::start(move |number, request| match request.method {
        Method::PUT => answer(puts.fetch_add(1, Ordering::Relaxed)),
        _ => declared(number, request),
    })
    .await
}

async fn good_store() -> Server {
    with_store(|_| Reply::text(200, "")).await
}

fn puts(server: &Server) -> Vec<ReceivedRequest> {
    server
        .requests()
        .into_iter()
        .filter(|request| request.method == Method::PUT)
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
