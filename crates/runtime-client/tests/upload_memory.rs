//! The memory of an upload does not depend on the size of the file.

#![cfg(target_os = "linux")]

use std::convert::Infallible;
use std::fs::File;
use std::path::Path;
use std::process::Command;

use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use runtime_client::TaskclusterDeployment;
use runtime_core::artifact::{
    Artifact, ArtifactBody, ArtifactHeaders, ArtifactSource, ArtifactUploader as _,
    ContentEncoding, S3Artifact,
};
use runtime_core::{CredentialsWatch, Run, TaskId, Timestamp};
use rustix::process::{Resource, Rlimit, setrlimit};
use serde_json::json;
use tokio::net::TcpListener;

/// The environment variable with the path of the file, which is set in the second process of the test.
const FILE: &str = "RUNTIME_CLIENT_MEMORY_TEST";
const LIMIT: u64 = 64 << 20;
/// The file is sparse and needs no disk space.
const LENGTH: u64 = (1 << 30) + 1;

/// Runs itself again in a process that may use at most 64 MiB of memory.
#[test]
fn large_file_is_uploaded_in_64_mib() {
    if let Some(path) = std::env::var_os(FILE) {
        return upload(path.as_ref());
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("sparse.bin");
    File::create(&path)
        .and_then(|file| file.set_len(LENGTH))
        .expect("a sparse file");
    let output = Command::new(std::env::current_exe().expect("a path"))
        .args(["--exact", "large_file_is_uploaded_in_64_mib", "--nocapture"])
        .env(FILE, &path)
        .output()
        .expect("it starts");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn upload(path: &Path) {
    let limit = Rlimit {
        current: Some(LIMIT),
        maximum: Some(LIMIT),
    };
    setrlimit(Resource::Data, limit).expect("less is always allowed");
    let too_much = Vec::<u8>::new().try_reserve_exact(LIMIT as usize);
    assert!(too_much.is_err(), "the limit is in force");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let root_url = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(serve(listener));
        let deployment = TaskclusterDeployment::new(&root_url).expect("a root URL");
        let client = deployment.client(CredentialsWatch::fixed(None));
        let run = Run {
            task_id: TaskId::random(),
            run_id: 0,
        };
        for source in [
            ArtifactSource::File(path.to_owned()),
            ArtifactSource::stream(File::open(path).expect("opens")),
        ] {
            let content = S3Artifact {
                content_type: "application/octet-stream".to_owned(),
                encoding: ContentEncoding::Identity,
                headers: ArtifactHeaders::new(),
                source,
            };
            let artifact = Artifact {
                name: "public/sparse.bin".to_owned(),
                expires: None,
                content: ArtifactBody::S3(content),
            };
            let uploaded = client.upload(&run, Timestamp::MAX, &artifact).await;
            assert_eq!(uploaded.expect("uploads").bytes, LENGTH);
        }
    });
}

async fn serve(listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        let connection = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service_fn(swallow));
        tokio::spawn(connection);
    }
}

/// Declares any artifact. Reads all bytes, discards them, and fails if the number is wrong.
async fn swallow(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let is_put = request.method() == Method::PUT;
    let host = request.headers()["host"]
        .to_str()
        .unwrap_or_default()
        .to_owned();
    let (mut body, mut taken) = (request.into_body(), 0);
    while let Some(Ok(frame)) = body.frame().await {
        taken += frame.data_ref().map_or(0, |data| data.len() as u64);
    }
    if is_put {
        let status = if taken == LENGTH { 200 } else { 501 };
        let mut answer = Response::new(Full::default());
        *answer.status_mut() = http::StatusCode::from_u16(status).expect("a status");
        return Ok(answer);
    }
    let declared = json!({
        "storageType": "s3",
        "putUrl": format!("http://{host}/store"),
        "contentType": "application/octet-stream",
        "expires": "2100-01-01T00:00:00.000Z",
    });
    Ok(Response::new(Full::new(declared.to_string().into())))
}
