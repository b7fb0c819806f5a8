//! Each feature gives its module, and brings nothing heavier than it says.

use std::collections::BTreeSet;
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

/// The heavy crates that the facade brings with one feature.
fn heavy_crates(feature: &str) -> BTreeSet<String> {
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
            "{p}",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let tree = String::from_utf8(output.stdout).expect("cargo writes text");
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
    ] {
        let allowed: BTreeSet<_> = allowed.iter().map(|name| (*name).to_owned()).collect();
        let found = heavy_crates(feature);
        assert!(
            found.is_subset(&allowed),
            "feature `{feature}` brings {found:?}, allowed are {allowed:?}"
        );
    }
}
