//! The README and the guides name the features that their code needs, so that it compiles where it is copied to.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};

use crate::tidy::files::File;
use crate::workspace::{FACADE, Features, Workspace};

/// Fails on a page whose code uses a part of the facade that the features on the page do not turn on.
pub(super) fn check(files: &[File], workspace: &Workspace) -> Result<()> {
    let mut packages = workspace.packages.iter();
    let facade = packages.find(|package| package.name == FACADE);
    let features = &facade.context("there is no facade")?.features;
    let lacking: Vec<String> = files
        .iter()
        .filter(|file| file.path == "README.md" || file.path.starts_with("docs/guide/"))
        .flat_map(|file| lacking(file, features))
        .collect();
    ensure!(
        lacking.is_empty(),
        "the code uses what no `{FACADE} = {{ .., features = [..] }}` of its page turns on: {}",
        lacking.join(", ")
    );
    Ok(())
}

fn lacking(file: &File, features: &Features) -> Vec<String> {
    let on = turned_on(&file.text, features);
    let parts = features.keys().filter(|name| is_part(name, features));
    let used = used(&file.text);
    parts
        .filter(|part| used.contains(part.as_str()) && !on.contains(part.as_str()))
        .map(|part| format!("`{part}` in {}", file.path))
        .collect()
}

/// Whether a feature is a module of its name.
fn is_part(name: &str, features: &Features) -> bool {
    let dependency = format!("dep:runtime-{name}");
    features[name].contains(&dependency)
}

/// What the examples of a manifest ask for, with all that follows from it.
fn turned_on<'a>(page: &'a str, features: &'a Features) -> BTreeSet<&'a str> {
    let asked = page.lines().filter(|line| line.starts_with(FACADE));
    let lists = asked.filter_map(|line| line.split("features = [").nth(1)?.split(']').next());
    let mut next: Vec<&str> = lists
        .flat_map(|list| list.split('"').skip(1).step_by(2))
        .collect();
    let mut on = BTreeSet::new();
    while let Some(name) = next.pop() {
        if on.insert(name) {
            let brought = features.get(name).into_iter().flatten();
            next.extend(brought.map(String::as_str));
        }
    }
    on
}

/// The first names of the paths into the facade.
fn used(page: &str) -> BTreeSet<&str> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let paths = page.match_indices("runtime::").filter_map(|(at, found)| {
        let is_whole = !page[..at].ends_with(is_name);
        is_whole.then(|| &page[at + found.len()..])
    });
    let heads = paths.flat_map(|path| {
        match path.strip_prefix('{') {
            Some(group) => group.split('}').next().unwrap_or_default(),
            None => path.split(|c| !is_name(c)).next().unwrap_or_default(),
        }
        .split(|c| !is_name(c))
    });
    heads.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lacks(asked: &str, code: &str) -> Vec<String> {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let features = Features::from([
            ("gc".to_owned(), list(&["dep:runtime-gc"])),
            ("caching".to_owned(), list(&["dep:runtime-caching", "gc"])),
            ("status".to_owned(), list(&["runtime-monitoring/status"])),
        ]);
        let page = File {
            path: "README.md".into(),
            text: format!("{FACADE} = {{ version = \"0.1\", features = [{asked}] }}\n\n{code}\n"),
        };
        lacking(&page, &features)
    }

    #[test]
    fn a_part_that_no_feature_of_the_page_turns_on_is_found() {
        let used = "use runtime::caching::Cache;";
        assert_eq!(lacks("\"gc\"", used), ["`caching` in README.md"]);
        assert!(lacks("\"gc\", \"caching\"", used).is_empty());
        assert_eq!(
            lacks("", "use runtime::{\n    Monitor, gc,\n};"),
            ["`gc` in README.md"]
        );
    }

    #[test]
    fn what_a_feature_brings_is_on_and_what_has_no_module_is_no_part() {
        let used = "use runtime::{gc::Config, status};";
        assert!(lacks("\"caching\"", used).is_empty());
        assert!(lacks("", "use worker_runtime::gc; use other::gc; a.gc();").is_empty());
    }
}
