//! The docs of a feature name the heavy dependencies that it adds, and no others.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use xshell::Shell;

use crate::budget;
use crate::docs::features;
use crate::workspace::{Package, Workspace};

/// Crates that take long to compile or need a C compiler, and the words for them in the docs of a feature.
const HEAVY: &[(&str, &str)] = &[
    ("hyper", "hyper"),
    ("reqwest", "reqwest"),
    ("rustls", "rustls"),
    ("zstd-sys", "C library"),
];

/// Fails on a feature whose docs differ from its dependency tree.
pub(crate) fn check(sh: &Shell, workspace: &Workspace) -> Result<()> {
    let mut problems = Vec::new();
    for library in workspace.libraries() {
        problems.extend(check_library(sh, library)?);
    }
    ensure!(problems.is_empty(), "{}", problems.join("\n"));
    Ok(())
}

fn check_library(sh: &Shell, library: &Package) -> Result<Vec<String>> {
    let name = &library.name;
    let manifest = sh.read_file(format!("{}/Cargo.toml", library.folder()))?;
    let alone = budget::dependencies(sh, name, &[])?;
    let mut problems = Vec::new();
    for feature in features::parse(&manifest)? {
        let tree = budget::dependencies(sh, name, &["--features", &feature.name])?;
        let added = tree.difference(&alone).map(String::as_str).collect();
        if let Some(problem) = problem(&added, &feature.description) {
            problems.push(format!("{name}: feature `{}`: {problem}", feature.name));
        }
    }
    Ok(problems)
}

/// Compares the crates that a feature adds with its description.
fn problem(added: &BTreeSet<&str>, description: &str) -> Option<String> {
    HEAVY.iter().find_map(|(name, word)| {
        // reqwest implies hyper.
        let is_added = added.contains(name) && !(*name == "hyper" && added.contains("reqwest"));
        match (is_added, description.contains(word)) {
            (true, false) => Some(format!("adds {name}: its docs must contain `{word}`")),
            (false, true) => Some(format!(
                "adds no {name}: its docs must not contain `{word}`"
            )),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has_problem(added: &[&str], description: &str) -> bool {
        problem(&added.iter().copied().collect(), description).is_some()
    }

    #[test]
    fn docs_name_exactly_the_added_crates() {
        assert!(!has_problem(&["slab"], "Slabs."));
        assert!(!has_problem(&["rustls"], "TLS. Adds rustls."));
        assert!(has_problem(&["rustls"], "TLS."));
        assert!(has_problem(&[], "TLS. Adds rustls."));
        assert!(has_problem(&["zstd-sys"], "Adds zstd."));
        assert!(!has_problem(&["zstd-sys"], "Adds a C library."));
    }

    #[test]
    fn reqwest_implies_hyper() {
        assert!(!has_problem(&["hyper", "reqwest"], "Adds reqwest."));
        assert!(has_problem(&["hyper"], "A server."));
    }
}
