//! Uploads to stores whose connections stall, or that respond early.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::{Reply, Server};
use bytes::Bytes;
use runtime_core::artifact::{
    Artifact, ArtifactBody, ArtifactHeaders, ArtifactSource, ArtifactUploader, ContentEncoding,
    S3Artifact, UploadError, Uploaded,
};
use runtime_core::{CredentialsWatch, Run, TaskId};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// More than the buffers of a connection hold.
const LENGTH: usize = 16 << 20;

/// The behaviour of the store for one connection.
#[derive(Clone, Copy)]
enum Store {
    /// Reads all bytes and reports success.
    Good,
    /// Reads the start of the request only.
    Stalls,
    /// Reads all bytes and never responds.
    NeverResponds,
    /// Responds after the start of the request and reads no more.
    RespondsEarly(&'static str),
}

impl Store {
    async fn serve(self, mut stream: TcpStream) {
        let mut head = vec![0; 4096];
        let read = stream.read(&mut head).await.expect("a head");
        match self {
            Self::Stalls => std::future::pending().await,
            Self::RespondsEarly(status) => {
                answer(&mut stream, status).await;
                std::future::pending().await
            }
            Self::Good => {
                read_body(&mut stream, &head[..read]).await;
                answer(&mut stream, "200 OK").await;
            }
            Self::NeverResponds => {
                read_body(&mut stream, &head[..read]).await;
                std::future::pending().await
            }
        }
    }
}

async fn answer(stream: &mut TcpStream, status: &str) {
    let text = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
    stream.write_all(text.as_bytes()).await.expect("writes");
}

async fn read_body(stream: &mut TcpStream, start: &[u8]) {
    let head = start
        .windows(4)
        .position(|end| end == b"\r\n\r\n")
        .expect("a whole head")
        + 4;
    let mut left = LENGTH - (start.len() - head);
    let mut buffer = vec![0; 64 << 10];
    while left > 0 {
        let read = stream.read(&mut buffer).await.expect("reads");
        assert_ne!(read, 0, "the body is complete");
        left -= read;
    }
}

/// Uploads to a store with one behaviour for each connection. Returns the result and the number of connections.
async fn upload_to(behaviours: Vec<Store>) -> (Result<Uploaded, UploadError>, usize) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let store = listener.local_addr().expect("an address");
    let connections = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&connections);
    let mut background = JoinSet::new();
    background.spawn(async move {
        let mut open = JoinSet::new();
        for behaviour in behaviours {
            let (stream, _) = listener.accept().await.expect("a connection");
            counter.fetch_add(1, Ordering::SeqCst);
            open.spawn(behaviour.serve(stream));
        }
        open.join_all().await;
    });
    let queue = Server::start(move |_, _| {
        let url = format!("http://{store}/object");
        Reply::json(200, json!({ "storageType": "s3", "putUrl": url, "contentType": "a/b", "expires": "2026-01-01T00:00:00Z" }))
    })
    .await;
    let deployment =
        queue.deployment_with(|settings| settings.stall_timeout = Duration::from_secs(1));
    let client = deployment.client(CredentialsWatch::fixed(None));
    let content = S3Artifact {
        content_type: "a/b".to_owned(),
        encoding: ContentEncoding::Identity,
        headers: ArtifactHeaders::new(),
        source: ArtifactSource::Bytes(Bytes::from(vec![7; LENGTH])),
    };
    let artifact = Artifact {
        name: "a".to_owned(),
        expires: None,
        content: ArtifactBody::S3(content),
    };
    let run = Run {
        task_id: TaskId::random(),
        run_id: 0,
    };
    let outcome = client
        .upload(
            &run,
            "2027-01-01T00:00:00Z".parse().expect("a time"),
            &artifact,
        )
        .await;
    (outcome, connections.load(Ordering::SeqCst))
}

#[tokio::test]
async fn stalled_attempt_is_retried() {
    for stall in [Store::Stalls, Store::NeverResponds] {
        // Shorter than the 30 seconds after which the connection itself fails.
        let limit = Duration::from_secs(20);
        let upload = tokio::time::timeout(limit, upload_to(vec![stall, Store::Good]));
        let (outcome, connections) = upload.await.expect("a retry before the time limit");
        assert_eq!(outcome.expect("the second attempt").bytes, LENGTH as u64);
        assert_eq!(connections, 2);
    }
}

#[tokio::test]
async fn early_error_response_is_returned_at_once() {
    let (outcome, connections) =
        upload_to(vec![Store::RespondsEarly("413 Payload Too Large")]).await;
    let error = outcome.expect_err("refused");
    assert!(
        matches!(
            error,
            UploadError::Refused {
                status: 413,
                attempts: 1,
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(connections, 1);
}

#[tokio::test]
async fn expired_url_is_replaced() {
    let (outcome, connections) =
        upload_to(vec![Store::RespondsEarly("403 Forbidden"), Store::Good]).await;
    outcome.expect("the second attempt");
    assert_eq!(connections, 2);
}

#[tokio::test]
async fn early_success_is_retried() {
    let (outcome, connections) = upload_to(vec![Store::RespondsEarly("200 OK"), Store::Good]).await;
    outcome.expect("the second attempt");
    assert_eq!(connections, 2);
}
