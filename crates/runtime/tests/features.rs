//! Each feature gives its module, and brings nothing heavier than it says.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::process::Command;

/// That these names resolve is the test; the features come from the dev-dependency on the crate itself.
#[expect(unused_imports, reason = "only the names matter")]
mod each_feature_gives_its_module {
    use runtime::atomics::Flag;
    use runtime::caching::Cache;
    use runtime::client::TaskclusterDeployment;
    use runtime::fetcher::Fetcher;
    use runtime::gc::GarbageCollector;
    use runtime::ioext::FollowedLog;
    use runtime::mocks::taskcluster::Taskcluster;
    use runtime::monitoring::Metrics;
    use runtime::process::ProcessEngine;
    use runtime::webhook::LocalhostServer;
    use runtime::worker::Worker;
    use runtime::{TaskContext, TaskError};
}

/// What takes long to compile.
const HEAVY: [&str; 6] = [
    "axum",
    "hyper",
    "jsonschema",
    "reqwest",
    "rustls",
    "tracing-subscriber",
];

/// What the facade brings with one feature: a crate in each line, with its own features at the end.
fn tree(feature: &str) -> String {
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

/// The heavy crates that the facade brings with one feature.
fn heavy_crates(feature: &str) -> BTreeSet<String> {
    let tree = tree(feature);
    let names = tree.lines().filter_map(|line| line.split(' ').next());
    names
        .filter(|name| HEAVY.contains(name))
        .map(str::to_owned)
        .collect()
}

#[test]
fn each_feature_brings_only_the_heavy_crates_that_it_is_about() {
    for (feature, allowed) in [
        ("", &[][..]),
        ("atomics", &[]),
        ("caching", &[]),
        ("gc", &[]),
        ("ioext", &[]),
        ("monitoring", &["tracing-subscriber"]),
        ("webhook", &["hyper"]),
        ("mocks", &["hyper"]),
        ("client", &["hyper", "reqwest", "rustls"]),
        ("fetcher", &["hyper", "reqwest", "rustls"]),
        ("worker", &["hyper", "jsonschema", "reqwest", "rustls"]),
        ("process", &["hyper", "jsonschema", "reqwest", "rustls"]),
    ] {
        let allowed: BTreeSet<_> = allowed.iter().map(|name| (*name).to_owned()).collect();
        let found = heavy_crates(feature);
        assert!(
            found.is_subset(&allowed),
            "feature `{feature}` brings {found:?}, allowed are {allowed:?}"
        );
    }
}

#[test]
fn the_settings_of_the_collector_are_read_by_serde_with_whatever_brings_it() {
    for feature in ["gc", "caching", "worker"] {
        let tree = tree(feature);
        let gc = tree.lines().find(|line| line.starts_with("runtime-gc "));
        let gc = gc.expect("it is brought");
        assert!(
            gc.split([' ', ',']).any(|word| word == "serde"),
            "feature `{feature}` brings `{gc}`"
        );
    }
}

/// The head of the request with which the facade fetches.
async fn head_of_a_fetch() -> String {
    use runtime::Services;
    use runtime::fetcher::{
        AddressPolicy, Combine, FetchConfig, FetchContext, Fetcher, HttpClient, MemoryTarget,
    };

    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}/", listener.local_addr().expect("it is bound"));
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut lines = BufReader::new(stream.try_clone().expect("a second handle")).lines();
        let head: Vec<String> = lines
            .by_ref()
            .map(|line| line.expect("text"))
            .take_while(|line| !line.is_empty())
            .collect();
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        stream.write_all(answer).expect("it is read");
        head.join("\n").to_ascii_lowercase()
    });
    let config = FetchConfig {
        addresses: AddressPolicy::Any,
        ..FetchConfig::default()
    };
    let http = HttpClient::new(config).expect("the configuration is good");
    let context = FetchContext::new(http, Services::disconnected());
    let reference = Combine::standard().resolve(&context, &url.into()).await;
    let mut target = MemoryTarget::new(1);
    let fetched = reference.expect("a URL").fetch(&context, &mut target).await;
    fetched.expect("it is there");
    server.join().expect("no panic")
}

#[tokio::test]
async fn all_features_together_decode_every_encoding() {
    let head = head_of_a_fetch().await;
    assert!(head.contains("accept-encoding: zstd, br, gzip"), "{head}");
}
