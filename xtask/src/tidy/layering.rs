//! Which library may depend on which, as in docs/architecture.md.

use super::Problem;
use crate::workspace::{Dependency, FACADE, Package, Workspace};

/// Every library with the siblings it may depend on. Arrows only point up this list, so there can be no cycle.
pub(crate) const LIBRARIES: &[(&str, &[&str])] = &[
    ("runtime-atomics", &[]),
    ("runtime-ioext", &[]),
    ("runtime-gc", &[]),
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
            "runtime-fetcher",
        ],
    ),
    ("runtime-process", &["runtime-core", "runtime-worker"]),
    ("runtime-taskcluster-embedded", &["runtime-core"]),
    ("runtime-mocks", &["runtime-core"]),
    (FACADE, &["runtime-core"]),
];

/// These may have any sibling too, but only behind a feature.
const OPEN_BEHIND_FEATURES: &[&str] = &["runtime-mocks", FACADE];

/// The libraries that serve HTTP.
const HTTP_SERVERS: &[&str] = &[
    "runtime-webhook",
    "runtime-taskcluster-embedded",
    "runtime-mocks",
];

/// The libraries that may know an HTTP library.
const HTTP: &[(&str, &[&str])] = &[
    ("reqwest", &["runtime-http"]),
    ("rustls-platform-verifier", &["runtime-http"]),
    ("hyper", HTTP_SERVERS),
    ("hyper-util", HTTP_SERVERS),
    ("axum", HTTP_SERVERS),
];

/// Checks all libraries. Dev-dependencies are free: no user compiles them.
pub(super) fn check(workspace: &Workspace) -> Vec<Problem> {
    workspace.libraries().flat_map(library_problems).collect()
}

fn library_problems(library: &Package) -> Vec<Problem> {
    let Some((_, siblings)) = LIBRARIES.iter().find(|(name, _)| *name == library.name) else {
        return vec![problem(
            library,
            "is not in the crate table: say what it may depend on".to_owned(),
        )];
    };
    let dependencies = library.normal_dependencies();
    dependencies
        .filter_map(|dependency| {
            Some(problem(
                library,
                arrow_problem(library, siblings, dependency)?,
            ))
        })
        .collect()
}

fn problem(library: &Package, message: String) -> Problem {
    Problem::new(&format!("{}/Cargo.toml", library.folder()), 0, message)
}

fn arrow_problem(library: &Package, siblings: &[&str], dependency: &Dependency) -> Option<String> {
    let Dependency {
        name,
        optional,
        features,
        ..
    } = dependency;
    let is_sibling = LIBRARIES.iter().any(|(library, _)| library == name);
    let open = *optional && OPEN_BEHIND_FEATURES.contains(&library.name.as_str());
    if is_sibling && !open && !siblings.contains(&name.as_str()) {
        return Some(format!("may not depend on {name}"));
    }
    let (_, knowing) = HTTP
        .iter()
        .find(|(http, _)| http == name)
        .unwrap_or(&("", &[]));
    if !knowing.is_empty() && !knowing.contains(&library.name.as_str()) {
        return Some(format!(
            "may not know {name}, only {} may",
            knowing.join(" and ")
        ));
    }
    let opens_sockets = library.name == "runtime-core"
        && name == "tokio"
        && features.iter().any(|feature| feature == "net");
    opens_sockets.then(|| "opens no socket, so tokio's `net` is out of place".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The problems of a library with one dependency.
    fn check_one(library: &str, dependency: serde_json::Value) -> Vec<String> {
        let json = serde_json::json!({"packages": [{
            "name": library, "version": "0.1.0", "manifest_path": format!("crates/{library}/Cargo.toml"), "dependencies": [dependency], "features": {}, "targets": [],
        }]});
        let workspace: Workspace =
            serde_json::from_value(json).expect("the shape of cargo metadata");
        check(&workspace).iter().map(ToString::to_string).collect()
    }

    fn dependency(name: &str, kind: Option<&str>, optional: bool) -> serde_json::Value {
        serde_json::json!({"name": name, "kind": kind, "optional": optional, "features": []})
    }

    #[test]
    fn arrows_point_up_the_list_only() {
        for (index, (_, siblings)) in LIBRARIES.iter().enumerate() {
            let above: Vec<_> = LIBRARIES[..index].iter().map(|(name, _)| *name).collect();
            assert!(
                siblings.iter().all(|sibling| above.contains(sibling)),
                "row {index}"
            );
        }
    }

    #[test]
    fn a_sibling_out_of_reach_is_found() {
        assert_eq!(
            check_one("runtime-core", dependency("runtime-worker", None, false)).len(),
            1
        );
        assert_eq!(
            check_one(
                "runtime-core",
                dependency("runtime-worker", Some("dev"), false)
            )
            .len(),
            0
        );
        assert_eq!(
            check_one("runtime-core", dependency("runtime-gc", None, false)).len(),
            0
        );
    }

    #[test]
    fn the_facade_may_have_any_sibling_behind_a_feature() {
        assert_eq!(
            check_one(FACADE, dependency("runtime-worker", None, true)).len(),
            0
        );
        assert_eq!(
            check_one(FACADE, dependency("runtime-worker", None, false)).len(),
            1
        );
    }

    #[test]
    fn only_some_know_an_http_library() {
        assert_eq!(
            check_one("runtime-caching", dependency("reqwest", None, true)).len(),
            1
        );
        assert_eq!(
            check_one("runtime-http", dependency("reqwest", None, true)).len(),
            0
        );
        assert_eq!(
            check_one("runtime-fetcher", dependency("hyper", None, false)).len(),
            1
        );
    }

    #[test]
    fn core_opens_no_socket() {
        let tokio = serde_json::json!({"name": "tokio", "kind": null, "optional": false, "features": ["net"]});
        assert_eq!(check_one("runtime-core", tokio.clone()).len(), 1);
        assert_eq!(check_one("runtime-webhook", tokio).len(), 0);
    }

    #[test]
    fn a_new_library_must_be_entered() {
        assert_eq!(
            check_one("runtime-novelty", dependency("serde", None, false)).len(),
            1
        );
    }
}
