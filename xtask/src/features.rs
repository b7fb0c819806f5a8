//! `cargo xtask features`: every library compiles, without a warning, with each pair of its features.
//!
//! The facade would have as many pairs as all others together, and nearly all of them can tell nothing new. It has no
//! code: each of its features turns on a library and features of that, and re-exports it by a line of its own. So a line
//! that lacks its library shows with that feature alone, and a library that does not compile with two of its features
//! shows with that library. What is left are the pairs in which a feature has an effect only beside another one
//! (`library?/feature`), and all features at once.

use std::collections::BTreeSet;
use std::time::Instant;

use anyhow::{Result, bail, ensure};
use xshell::Shell;

use crate::workspace::{FACADE, Features, Package, Workspace, cargo};

/// The largest number of features that are combined.
const DEPTH: usize = 2;

/// Checks the named packages, or all libraries.
pub(crate) fn run(sh: &Shell, names: &[String]) -> Result<()> {
    let workspace = Workspace::load(sh)?;
    for package in select(&workspace, names)? {
        let combinations = distinct(worthwhile(package), &package.features);
        for (index, features) in combinations.iter().enumerate() {
            check(
                sh,
                &package.name,
                features,
                &format!("{}/{}", index + 1, combinations.len()),
            )?;
        }
    }
    Ok(())
}

fn select<'a>(workspace: &'a Workspace, names: &[String]) -> Result<Vec<&'a Package>> {
    if names.is_empty() {
        return Ok(workspace.libraries().collect());
    }
    let find = |name: &String| match workspace
        .packages
        .iter()
        .find(|package| package.name == *name)
    {
        Some(package) => Ok(package),
        None => bail!("no package `{name}` in this workspace"),
    };
    names.iter().map(find).collect()
}

/// The sets to check, the small ones first.
fn worthwhile(package: &Package) -> Vec<Vec<&str>> {
    let switches = switches(package);
    let mut sets = combinations(&switches, DEPTH);
    if package.name == FACADE {
        sets.retain(|set| set.len() < 2 || have_effect_together(set, &package.features));
        sets.push(switches);
    }
    sets
}

/// Whether one of the features says something of a library that only another one brings.
fn have_effect_together(set: &[&str], features: &Features) -> bool {
    let alone: BTreeSet<&str> = set
        .iter()
        .flat_map(|feature| effects(&[*feature], features))
        .collect();
    !effects(set, features).is_subset(&alone)
}

/// The entries `library?/feature` that a set turns on, together with the library.
fn effects<'a>(set: &[&'a str], features: &'a Features) -> BTreeSet<&'a str> {
    let on = closure(set, features);
    let entries: BTreeSet<&str> = on
        .iter()
        .flat_map(|feature| &features[*feature])
        .map(String::as_str)
        .collect();
    let brought = |entry: &&str| {
        let library = entry.split_once("?/").map(|(library, _)| library);
        library.is_some_and(|library| entries.contains(format!("dep:{library}").as_str()))
    };
    entries.iter().copied().filter(brought).collect()
}

/// The features worth combining: not those that only name a set of others.
fn switches(package: &Package) -> Vec<&str> {
    let names = package.features.keys().map(String::as_str);
    names
        .filter(|name| !matches!(*name, "default" | "full"))
        .collect()
}

/// All sets of at most `depth` features, the small ones first.
fn combinations<'a>(features: &[&'a str], depth: usize) -> Vec<Vec<&'a str>> {
    let mut all = vec![Vec::new()];
    let mut longest = 0;
    for _ in 0..depth {
        let grown: Vec<_> = all[longest..]
            .iter()
            .flat_map(|set| extensions(set, features))
            .collect();
        longest = all.len();
        all.extend(grown);
    }
    all
}

/// The set with each feature that comes after its last one.
fn extensions<'a>(set: &[&'a str], features: &[&'a str]) -> Vec<Vec<&'a str>> {
    let last = set
        .last()
        .and_then(|last| features.iter().position(|feature| feature == last));
    let rest = &features[last.map_or(0, |last| last + 1)..];
    rest.iter()
        .map(|feature| [set, &[*feature]].concat())
        .collect()
}

/// Leaves out what is only another name for an earlier set, such as a feature with one that it turns on itself.
fn distinct<'a>(sets: Vec<Vec<&'a str>>, features: &'a Features) -> Vec<Vec<&'a str>> {
    let mut seen = BTreeSet::new();
    sets.into_iter()
        .filter(|set| seen.insert(closure(set, features)))
        .collect()
}

/// All features of the package that a set turns on.
fn closure<'a>(set: &[&'a str], features: &'a Features) -> BTreeSet<&'a str> {
    let mut on = BTreeSet::new();
    let mut open = set.to_vec();
    while let Some(feature) = open.pop() {
        // `dep:name` and `name/feature` are no features of this package.
        if let Some(more) = features.get(feature).filter(|_| on.insert(feature)) {
            open.extend(more.iter().map(String::as_str));
        }
    }
    on
}

/// Compiles one combination; a warning fails it, since nobody would ever see it otherwise.
fn check(sh: &Shell, package: &str, features: &[&str], progress: &str) -> Result<()> {
    let start = Instant::now();
    let features = features.join(",");
    let command = cargo(sh).args([
        "check",
        "--quiet",
        "--lib",
        "-p",
        package,
        "--no-default-features",
    ]);
    let command = command.args((!features.is_empty()).then(|| format!("--features={features}")));
    let repeat = command.to_string();
    let output = command.quiet().ignore_status().output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success() && !said.contains("warning:"),
        "{said}\nrepeat it with `{repeat}`"
    );
    println!(
        "{package} [{features}] {progress}: {:.1} s",
        start.elapsed().as_secs_f64()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_comes_once_and_after_every_single() {
        let sets: Vec<_> = combinations(&["a", "b", "c"], 2)
            .iter()
            .map(|set| set.join("+"))
            .collect();
        assert_eq!(sets, ["", "a", "b", "c", "a+b", "a+c", "b+c"]);
    }

    #[test]
    fn depth_beyond_the_number_of_features_adds_nothing() {
        assert_eq!(combinations(&["a", "b"], 9).len(), 4);
        assert_eq!(combinations(&[], 2), [Vec::<&str>::new()]);
    }

    #[test]
    fn of_the_facade_only_pairs_with_an_effect_of_their_own_are_checked() {
        let json = serde_json::json!({
            "name": FACADE, "version": "0.1.0", "manifest_path": "", "dependencies": [], "targets": [],
            "features": {
                "a": ["dep:a"], "b": ["dep:b", "a?/x"], "c": ["dep:c"], "d": ["c"], "full": ["a", "b", "c", "d"],
            },
        });
        let facade: Package = serde_json::from_value(json).expect("the shape of cargo metadata");
        let sets = distinct(worthwhile(&facade), &facade.features);
        assert_eq!(
            sets.iter().map(|set| set.join("+")).collect::<Vec<_>>(),
            ["", "a", "b", "c", "d", "a+b", "a+b+c+d"]
        );
    }

    #[test]
    fn each_line_of_the_facade_depends_on_one_feature() {
        let path = crate::workspace::root().join("crates/runtime/src/lib.rs");
        let source = std::fs::read_to_string(path).expect("the facade is there");
        let code = source.split("#[cfg(all(doctest").next().unwrap_or(&source);
        let lines: Vec<&str> = code
            .lines()
            .filter(|line| line.starts_with("#[cfg("))
            .collect();
        assert!(lines.len() > 9, "{lines:?}");
        let is_single =
            |line: &&&str| line.starts_with("#[cfg(feature = \"") && line.matches('"').count() == 2;
        assert_eq!(
            lines.iter().filter(is_single).count(),
            lines.len(),
            "{lines:?}"
        );
    }

    #[test]
    fn a_feature_with_one_that_it_turns_on_is_the_feature_alone() {
        let table = [("a", vec!["b", "dep:x"]), ("b", vec![]), ("c", vec!["y/z"])];
        let row = |(name, on): &(&str, Vec<&str>)| {
            (
                (*name).to_owned(),
                on.iter().map(ToString::to_string).collect(),
            )
        };
        let features: Features = table.iter().map(row).collect();
        let sets = distinct(combinations(&["a", "b", "c"], 2), &features);
        assert_eq!(
            sets.iter().map(|set| set.join("+")).collect::<Vec<_>>(),
            ["", "a", "b", "c", "a+c", "b+c"]
        );
    }
}
