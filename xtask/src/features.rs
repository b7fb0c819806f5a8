//! `cargo xtask features`: every library compiles, without a warning, with each pair of its features.

use std::collections::BTreeSet;
use std::time::Instant;

use anyhow::{Result, bail, ensure};
use xshell::Shell;

use crate::workspace::{Features, Package, Workspace, cargo};

/// The largest number of features that are combined.
const DEPTH: usize = 2;

/// Checks the named packages, or all libraries.
pub(crate) fn run(sh: &Shell, names: &[String]) -> Result<()> {
    let workspace = Workspace::load(sh)?;
    for package in select(&workspace, names)? {
        let combinations = distinct(combinations(&switches(package), DEPTH), &package.features);
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
