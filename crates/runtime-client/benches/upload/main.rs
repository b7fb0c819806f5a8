//! Uploads compared to curl, with the embedded Taskcluster in a second process.

mod peers;
mod server;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bench_harness::{AtLeast, AtMost, Bench, peak_rss_mib, rate};
use bytes::Bytes;
use runtime_client::{Client, TaskclusterDeployment};
use runtime_core::artifact::{
    Artifact, ArtifactBody, ArtifactHeaders, ArtifactSource, ArtifactUploader as _,
    ContentEncoding, S3Artifact,
};
use runtime_core::queue::{ArtifactRequest, ArtifactResponse, ClaimWorkRequest, Queue as _};
use runtime_core::util::join_with_limit;
use runtime_core::{Credentials, CredentialsWatch, Run, TaskId, Timestamp};
use runtime_mocks::definition;
use secrecy::SecretString;
use serde_json::json;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use self::server::Server;

const MIB: u64 = 1 << 20;
const CONTENT_TYPE: &str = "application/octet-stream";
/// The number of small artifacts in a round.
const SMALL: u64 = 1000;

fn main() -> ExitCode {
    if server::is_wanted() {
        return server::serve();
    }
    let runtime = &Runtime::new().expect("a runtime");
    Bench::main("upload", |bench| {
        let world = World::new(runtime, bench.pick(1024, 256));
        large(bench, &world);
        memory(bench, &world);
        small(bench, &world);
    })
}

/// Uploads a file of random bytes as an S3 artifact, hashed with SHA-256 and SHA-512.
fn large(bench: &mut Bench, world: &World<'_>) {
    let hashed = "1 GiB file, compared with curl -T and both hashes";
    let plain = "1 GiB file, compared with curl -T alone, without hashes";
    let slower = "1 GiB file, compared with the slower of curl -T and SHA-512 alone";
    if let Some(missing) = peers::missing(&["curl", "openssl"]) {
        for case in [hashed, plain, slower] {
            bench.skip(case, &missing);
        }
        return;
    }
    let mib = world.length / MIB;
    let ours = || rate(mib, || world.upload_large());
    bench
        .case(hashed, "MiB/s")
        .bar(AtLeast(0.8))
        .peer(
            "curl -T, openssl sha256 and sha512 at the same time",
            || {
                let url = world.put_url("public/curl.bin");
                rate(mib, || peers::put_and_hash(&world.file, &url))
            },
        )
        .ours(ours);
    let curl = || {
        let url = world.put_url("public/curl.bin");
        rate(mib, || peers::put(&world.file, &url))
    };
    bench.case(plain, "MiB/s").peer("curl -T", curl).ours(ours);
    bench
        .case(slower, "MiB/s")
        .bar(AtLeast(0.91))
        .peer("curl -T or the same SHA-512", || {
            curl().min(rate(mib, || peers::hash(&world.file)))
        })
        .ours(ours);
}

fn memory(bench: &mut Bench, world: &World<'_>) {
    if peak_rss_mib(|| ()).is_none() {
        bench.skip("peak memory of an upload", "only Linux tells it");
        return;
    }
    bench
        .case("peak memory of a 1 GiB upload", "MiB")
        .bar(AtMost(64.0))
        .rounds(1)
        .ours(|| peak_rss_mib(|| world.upload_large()).unwrap_or(f64::NAN));
    let gib = bench.pick(9, 2);
    let sparse = world.sparse_file(gib << 30);
    bench
        .case("peak memory of a 9 GiB upload", "MiB")
        .bar(AtMost(64.0))
        .rounds(1)
        .ours(|| peak_rss_mib(|| world.upload_to_sink(&sparse)).unwrap_or(f64::NAN));
}

/// Uploads many small files. Our time includes the declarations; those for curl are made in advance.
fn small(bench: &mut Bench, world: &World<'_>) {
    let case = "1000 artifacts of 1 KiB";
    if let Some(missing) = peers::missing(&["curl"]) {
        bench.skip(case, &missing);
        return;
    }
    let kib = world.folder.path().join("small.bin");
    std::fs::write(&kib, [7; 1024]).expect("writes");
    bench
        .case(case, "artifacts/s")
        .bar(AtLeast(5.0))
        .rounds(3)
        .peer("one curl after another", || {
            let urls: Vec<_> = (0..SMALL)
                .map(|n| world.put_url(&format!("public/curl/{n}.bin")))
                .collect();
            rate(SMALL, || urls.iter().for_each(|url| peers::put(&kib, url)))
        })
        .ours(|| rate(SMALL, || world.upload_small()));
    #[cfg(target_os = "linux")]
    bench
        .case("CPU time of an artifact of 1 KiB", "µs")
        .bar(AtMost(100.0))
        .ours(|| {
            let before = cpu_us();
            world.upload_small();
            (cpu_us() - before) / SMALL as f64
        });
}

/// Returns the CPU time of this process, without the server, in microseconds.
#[cfg(target_os = "linux")]
fn cpu_us() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
}

/// A running task and its files.
struct World<'a> {
    runtime: &'a Runtime,
    server: Server,
    client: Client,
    run: Run,
    expires: Timestamp,
    folder: TempDir,
    file: PathBuf,
    length: u64,
}

impl<'a> World<'a> {
    fn new(runtime: &'a Runtime, mib: u64) -> Self {
        let server = Server::start();
        let folder = server::folder();
        let file = folder.path().join("large.bin");
        let bytes: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..))
            .take(1 << 20)
            .collect();
        std::fs::write(&file, bytes.repeat(mib as usize)).expect("room for the source");
        let root = connect(&server.root_url, &server.client_id, &server.access_token);
        let (client, run, expires) = runtime.block_on(claimed(&root, &server));
        Self {
            runtime,
            server,
            client,
            run,
            expires,
            folder,
            file,
            length: mib * MIB,
        }
    }

    fn upload_large(&self) {
        let artifact = artifact("public/large.bin", ArtifactSource::File(self.file.clone()));
        let sent = self
            .runtime
            .block_on(self.client.upload(&self.run, self.expires, &artifact));
        assert_eq!(sent.expect("uploads").bytes, self.length);
    }

    /// Uploads to a server that discards all bytes.
    fn upload_to_sink(&self, file: &Path) {
        let client = connect(&self.server.sink_url, "nobody", "nothing");
        let artifact = artifact("public/sparse.bin", ArtifactSource::File(file.to_owned()));
        let sent = self
            .runtime
            .block_on(client.upload(&self.run, self.expires, &artifact));
        sent.expect("uploads");
    }

    fn upload_small(&self) {
        let uploads = (0..SMALL).map(|n| {
            let source = ArtifactSource::Bytes(Bytes::from_static(&[7; 1024]));
            let artifact = artifact(&format!("public/ours/{n}.bin"), source);
            let (client, run, expires) = (self.client.clone(), self.run.clone(), self.expires);
            async move { client.upload(&run, expires, &artifact).await }
        });
        let sent = self.runtime.block_on(join_with_limit(32, uploads));
        assert!(sent.iter().all(Result::is_ok), "{sent:?}");
    }

    /// Declares an artifact for curl.
    fn put_url(&self, name: &str) -> SecretString {
        let request = ArtifactRequest::S3 {
            content_type: CONTENT_TYPE.to_owned(),
            content_length: None,
            expires: self.expires,
        };
        let declared = self.client.create_artifact(&self.run, name, &request);
        match self.runtime.block_on(declared) {
            Ok(ArtifactResponse::S3 { put_url, .. }) => put_url,
            other => panic!("{other:?}"),
        }
    }

    fn sparse_file(&self, length: u64) -> PathBuf {
        let path = self.folder.path().join("sparse.bin");
        let file = std::fs::File::create(&path).expect("a file");
        file.set_len(length).expect("a hole costs nothing");
        path
    }
}

fn connect(root_url: &str, client_id: &str, access_token: &str) -> Client {
    let deployment = TaskclusterDeployment::new(root_url).expect("a root URL");
    let credentials = Credentials::new(client_id, access_token);
    deployment.client(CredentialsWatch::fixed(Some(credentials)))
}

/// Creates and claims a task. The returned client has the credentials of the task.
async fn claimed(root: &Client, server: &Server) -> (Client, Run, Timestamp) {
    let task = definition(json!({}));
    let queue = task.task_queue_id.clone();
    root.create_task(&TaskId::random(), &task)
        .await
        .expect("a task");
    let request = ClaimWorkRequest {
        worker_group: "bench".to_owned(),
        worker_id: "bench".to_owned(),
        tasks: 1,
    };
    let claims = root.claim_work(&queue, &request).await.expect("may claim");
    let claim = claims.into_iter().next().expect("the task is pending");
    let deployment = TaskclusterDeployment::new(&server.root_url).expect("a root URL");
    let client = deployment.client(CredentialsWatch::fixed(Some(claim.credentials)));
    let run = Run {
        task_id: claim.status.task_id,
        run_id: claim.run_id,
    };
    (client, run, claim.task.expires.expect("the queue sets it"))
}

fn artifact(name: &str, source: ArtifactSource) -> Artifact {
    let content = S3Artifact {
        content_type: CONTENT_TYPE.to_owned(),
        encoding: ContentEncoding::Identity,
        headers: ArtifactHeaders::new(),
        source,
    };
    Artifact {
        name: name.to_owned(),
        expires: None,
        content: ArtifactBody::S3(content),
    }
}
