//! README and guides name the features that their code needs, so that a copy of it compiles.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};

use crate::files::File;
use crate::workspace::{FACADE, Features, Workspace, enabled_features};

/// Fails on a page whose code uses a module of the facade that the features on the page do not enable.
pub(super) fn check(files: &[File], workspace: &Workspace) -> Result<()> {
    let features = &workspace.package(FACADE)?.features;
    let has_examples =
        |file: &&File| file.path == "README.md" || file.path.starts_with("docs/guide/");
    let pages = files.iter().filter(has_examples);
    let missing: Vec<String> = pages
        .flat_map(|file| missing_features(file, features))
        .collect();
    ensure!(
        missing.is_empty(),
        "missing in `{FACADE} = {{ .., features = [..] }}`: {}",
        missing.join(", ")
    );
    Ok(())
}

fn missing_features(file: &File, features: &Features) -> Vec<String> {
    let enabled = enabled_features(listed_features(&file.text), features);
    let used = used_modules(&file.text);
    let modules = features.keys().filter(|name| is_module(name, features));
    modules
        .filter(|name| used.contains(name.as_str()) && !enabled.contains(name.as_str()))
        .map(|name| format!("`{name}` in {}", file.path))
        .collect()
}

/// Returns whether a feature enables the library that the facade re-exports as a module of the same name.
fn is_module(name: &str, features: &Features) -> bool {
    features[name].contains(&format!("dep:runtime-{name}"))
}

/// Returns the features in the manifest examples of a page.
fn listed_features(page: &str) -> Vec<&str> {
    let examples = page.lines().filter(|line| line.starts_with(FACADE));
    let lists = examples.filter_map(|line| line.split("features = [").nth(1)?.split(']').next());
    lists
        .flat_map(|list| list.split('"').skip(1).step_by(2))
        .collect()
}

/// Returns the first names of the paths into the facade, `a` and `b` for `runtime::{a::A, b}`.
fn used_modules(page: &str) -> BTreeSet<&str> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let mut names = BTreeSet::new();
    for (at, prefix) in page.match_indices("runtime::") {
        // Such as `worker_runtime::`.
        if page[..at].ends_with(is_name) {
            continue;
        }
        let path = &page[at + prefix.len()..];
        match path
            .strip_prefix('{')
            .and_then(|path| path.split('}').next())
        {
            Some(group) => names.extend(group.split(|c| !is_name(c))),
            None => names.extend(path.split(|c| !is_name(c)).next()),
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(listed: &str, code: &str) -> Vec<String> {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let features = Features::from([
            ("gc".to_owned(), list(&["dep:runtime-gc"])),
            ("caching".to_owned(), list(&["dep:runtime-caching", "gc"])),
            ("status".to_owned(), list(&["runtime-monitoring/status"])),
        ]);
        let text = format!("{FACADE} = {{ version = \"0.1\", features = [{listed}] }}\n\n{code}\n");
        missing_features(&File::new("README.md", text), &features)
    }

    #[test]
    fn module_without_its_feature_is_found() {
        let code = "use runtime::caching::Cache;";
        assert_eq!(missing("\"gc\"", code), ["`caching` in README.md"]);
        assert!(missing("\"gc\", \"caching\"", code).is_empty());
        let code = "use runtime::{\n    Monitor, gc,\n};";
        assert_eq!(missing("", code), ["`gc` in README.md"]);
    }

    #[test]
    fn implied_features_are_enabled() {
        let code = "use runtime::{gc::Config, status};";
        assert!(missing("\"caching\"", code).is_empty());
    }

    #[test]
    fn paths_of_other_crates_are_ignored() {
        let code = "use worker_runtime::gc; use other::gc; a.gc();";
        assert!(missing("", code).is_empty());
    }
}
