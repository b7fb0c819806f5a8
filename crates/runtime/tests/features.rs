//! Each feature enables its module.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::process::Command;

/// The test succeeds if these names resolve. The dev-dependency of this crate on itself enables the features.
#[expect(unused_imports, reason = "only the names matter")]
mod each_feature_enables_its_module {
    use runtime::atomics::Flag;
    use runtime::caching::Cache;
    use runtime::client::TaskclusterDeployment;
    use runtime::fetcher::Fetcher;
    use runtime::gc::GarbageCollector;
    use runtime::ioext::FollowedLog;
    use runtime::mocks::taskcluster::Taskcluster;
    use runtime::monitoring::Metrics;
    use runtime::process::ProcessEngine;
    #[cfg(target_os = "linux")]
    use runtime::sandbox::SandboxCommand;
    use runtime::webhook::LocalhostServer;
    use runtime::worker::Worker;
    use runtime::{TaskContext, TaskError};
}

/// Returns the dependency tree of the facade with one feature: one crate with its features per line.
fn dependency_tree(feature: &str) -> String {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--offline",
            "--package",
            "worker-runtime",
            "--no-default-features",
        ])
        .args([
            "--features",
            feature,
            "--edges",
            "normal",
            "--prefix",
            "none",
            "--format",
            "{p} {f}",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("cargo writes text")
}

#[test]
fn every_feature_with_gc_enables_its_serde_settings() {
    for feature in ["gc", "caching", "worker"] {
        let tree = dependency_tree(feature);
        let gc = tree.lines().find(|line| line.starts_with("runtime-gc "));
        let gc = gc.expect("the feature needs gc");
        assert!(
            gc.split([' ', ',']).any(|word| word == "serde"),
            "feature `{feature}` adds `{gc}`"
        );
    }
}

/// Returns the head of the request that a fetch sends.
async fn request_head_of_fetch() -> String {
    use runtime::Services;
    use runtime::fetcher::{
        AddressPolicy, Combine, FetchConfig, FetchContext, Fetcher, HttpClient, MemoryTarget,
    };

    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}/", listener.local_addr().expect("a bound socket"));
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut lines = BufReader::new(stream.try_clone().expect("a second handle")).lines();
        let head: Vec<String> = lines
            .by_ref()
            .map(|line| line.expect("text"))
            .take_while(|line| !line.is_empty())
            .collect();
        let response = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        stream.write_all(response).expect("the client reads");
        head.join("\n").to_ascii_lowercase()
    });
    let config = FetchConfig {
        addresses: AddressPolicy::Any,
        ..FetchConfig::default()
    };
    let http = HttpClient::new(config).expect("the configuration is valid");
    let context = FetchContext::new(http, Services::disconnected());
    let reference = Combine::standard().resolve(&context, &url.into()).await;
    let mut target = MemoryTarget::new(1);
    let fetched = reference.expect("a URL").fetch(&context, &mut target).await;
    fetched.expect("the server responds");
    server.join().expect("no panic")
}

#[tokio::test]
async fn all_content_encodings_are_accepted() {
    let head = request_head_of_fetch().await;
    assert!(head.contains("accept-encoding: zstd, br, gzip"), "{head}");
}
