//! The allowed dependencies of each library, as in docs/architecture.md.

use crate::tidy::Problem;
use crate::workspace::{Dependency, FACADE, Package, Workspace};

/// Every library with the libraries it may depend on. They are earlier in this list, so there are no cycles.
pub(crate) const LIBRARIES: &[(&str, &[&str])] = &[
    ("runtime-atomics", &[]),
    ("runtime-ioext", &[]),
    ("runtime-gc", &[]),
    ("runtime-sandbox", &[]),
    (
        "runtime-core",
        &["runtime-atomics", "runtime-ioext", "runtime-gc"],
    ),
    ("runtime-http", &["runtime-core"]),
    (
        "runtime-client",
        &["runtime-core", "runtime-ioext", "runtime-http"],
    ),
    ("runtime-caching", &["runtime-core", "runtime-gc"]),
    (
        "runtime-fetcher",
        &[
            "runtime-core",
            "runtime-ioext",
            "runtime-caching",
            "runtime-gc",
            "runtime-http",
        ],
    ),
    (
        "runtime-monitoring",
        &[
            "runtime-core",
            "runtime-client",
            "runtime-ioext",
            "runtime-gc",
            "runtime-http",
        ],
    ),
    (
        "runtime-webhook",
        &["runtime-core", "runtime-ioext", "runtime-http"],
    ),
    (
        "runtime-worker",
        &[
            "runtime-core",
            "runtime-caching",
            "runtime-gc",
            "runtime-http",
            "runtime-fetcher",
            "runtime-webhook",
        ],
    ),
    (
        "runtime-process",
        &[
            "runtime-core",
            "runtime-sandbox",
            "runtime-webhook",
            "runtime-worker",
        ],
    ),
    ("runtime-taskcluster-embedded", &["runtime-core"]),
    (
        "runtime-dev-server",
        &[
            "runtime-core",
            "runtime-client",
            "runtime-http",
            "runtime-taskcluster-embedded",
            "runtime-worker",
        ],
    ),
    (
        "runtime-app",
        &[
            "runtime-core",
            "runtime-client",
            "runtime-dev-server",
            "runtime-fetcher",
            "runtime-gc",
            "runtime-monitoring",
            "runtime-taskcluster-embedded",
            "runtime-webhook",
            "runtime-worker",
        ],
    ),
    ("runtime-mocks", &["runtime-core"]),
    (FACADE, &["runtime-core"]),
];

/// The libraries that may depend on any other library, but only behind a feature.
const OPEN_BEHIND_FEATURES: &[&str] = &["runtime-mocks", FACADE];

/// The libraries that serve HTTP.
const HTTP_SERVERS: &[&str] = &[
    "runtime-webhook",
    "runtime-taskcluster-embedded",
    "runtime-mocks",
];

/// HTTP crates with the libraries that may depend on them.
const HTTP_CRATES: &[(&str, &[&str])] = &[
    ("reqwest", &["runtime-http"]),
    ("rustls-platform-verifier", &["runtime-http"]),
    ("hyper", HTTP_SERVERS),
    ("hyper-util", HTTP_SERVERS),
    ("axum", HTTP_SERVERS),
];

/// Checks all libraries. Dev-dependencies are unrestricted: users do not compile them.
pub(super) fn check(workspace: &Workspace) -> Vec<Problem> {
    workspace.libraries().flat_map(library_problems).collect()
}

fn library_problems(library: &Package) -> Vec<Problem> {
    let path = format!("{}/Cargo.toml", library.folder());
    let Some((_, allowed)) = LIBRARIES.iter().find(|(name, _)| *name == library.name) else {
        let message = "is not in `LIBRARIES` of xtask/src/tidy/layering.rs";
        return vec![Problem::new(&path, 0, message)];
    };
    let dependencies = library.normal_dependencies();
    dependencies
        .filter_map(|dependency| dependency_problem(library, allowed, dependency))
        .map(|message| Problem::new(&path, 0, message))
        .collect()
}

fn dependency_problem(library: &Package, allowed: &[&str], to: &Dependency) -> Option<String> {
    let (from, name) = (library.name.as_str(), to.name.as_str());
    let is_library = LIBRARIES.iter().any(|(library, _)| *library == name);
    let is_open = to.optional && OPEN_BEHIND_FEATURES.contains(&from);
    if is_library && !is_open && !allowed.contains(&name) {
        return Some(format!("may not depend on {name}"));
    }
    let http_users = HTTP_CRATES.iter().find(|(http, _)| *http == name);
    if let Some((_, users)) = http_users.filter(|(_, users)| !users.contains(&from)) {
        let users = users.join(" and ");
        return Some(format!("may not depend on {name}, only {users} may"));
    }
    let has_sockets = name == "tokio" && to.features.iter().any(|feature| feature == "net");
    (from == "runtime-core" && has_sockets)
        .then(|| "may not enable tokio's `net`: core opens no socket".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the number of problems of a library with one dependency.
    fn problem_count(library: &str, dependency: serde_json::Value) -> usize {
        let json = serde_json::json!({"target_directory": "target", "packages": [{
            "name": library, "version": "0.1.0", "manifest_path": format!("crates/{library}/Cargo.toml"), "dependencies": [dependency], "features": {}, "targets": [],
        }]});
        let workspace = serde_json::from_value(json).expect("the format of cargo metadata");
        check(&workspace).len()
    }

    fn dependency(name: &str, kind: Option<&str>, optional: bool) -> serde_json::Value {
        serde_json::json!({"name": name, "kind": kind, "optional": optional, "features": []})
    }

    fn required(name: &str) -> serde_json::Value {
        dependency(name, None, false)
    }

    #[test]
    fn dependencies_are_earlier_in_the_list() {
        for (index, (_, allowed)) in LIBRARIES.iter().enumerate() {
            let earlier: Vec<_> = LIBRARIES[..index].iter().map(|(name, _)| name).collect();
            let mut allowed = allowed.iter();
            assert!(allowed.all(|name| earlier.contains(&name)), "row {index}");
        }
    }

    #[test]
    fn forbidden_library_is_found() {
        let for_tests = dependency("runtime-worker", Some("dev"), false);
        assert_eq!(problem_count("runtime-core", required("runtime-worker")), 1);
        assert_eq!(problem_count("runtime-core", for_tests), 0);
        assert_eq!(problem_count("runtime-core", required("runtime-gc")), 0);
    }

    #[test]
    fn facade_needs_features_for_libraries() {
        let optional = dependency("runtime-worker", None, true);
        assert_eq!(problem_count(FACADE, optional), 0);
        assert_eq!(problem_count(FACADE, required("runtime-worker")), 1);
    }

    #[test]
    fn http_crates_are_restricted() {
        assert_eq!(problem_count("runtime-caching", required("reqwest")), 1);
        assert_eq!(problem_count("runtime-http", required("reqwest")), 0);
        assert_eq!(problem_count("runtime-fetcher", required("hyper")), 1);
    }

    #[test]
    fn core_opens_no_socket() {
        let tokio = serde_json::json!({"name": "tokio", "kind": null, "optional": false, "features": ["net"]});
        assert_eq!(problem_count("runtime-core", tokio.clone()), 1);
        assert_eq!(problem_count("runtime-webhook", tokio), 0);
    }

    #[test]
    fn unlisted_library_is_found() {
        assert_eq!(problem_count("runtime-novelty", required("serde")), 1);
    }
}
