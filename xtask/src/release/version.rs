//! The one version of all crates, in the root manifest.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, Error, Result, bail, ensure};

/// Three numbers; releases have nothing after them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version([u64; 3]);

impl Version {
    /// Whether cargo would take this version for a requirement on the other one.
    pub(super) fn promises_compatibility_with(self, other: Self) -> bool {
        let significant = |Self(numbers): Self| {
            let first = numbers.iter().position(|number| *number != 0).unwrap_or(2);
            (first, numbers[first])
        };
        significant(self) == significant(other)
    }
}

impl FromStr for Version {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let numbers: Result<Vec<u64>, _> = text.split('.').map(str::parse).collect();
        match numbers.ok().and_then(|numbers| numbers.try_into().ok()) {
            Some(numbers) => Ok(Self(numbers)),
            None => bail!("`{text}` is no version; give three numbers, such as 0.2.0"),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self([major, minor, patch]) = self;
        write!(f, "{major}.{minor}.{patch}")
    }
}

/// The version in `[workspace.package]`, which every sibling's entry has to repeat.
pub(super) fn current(manifest: &str) -> Result<Version> {
    let line = manifest
        .lines()
        .find_map(|line| line.strip_prefix("version = \""));
    let current: Version = line
        .and_then(|rest| rest.strip_suffix('"'))
        .context("no `version` in the root manifest")?
        .parse()?;
    for line in manifest.lines().filter(|line| is_sibling(line)) {
        ensure!(
            line.contains(&entry(current)),
            "`{line}` should say version {current}"
        );
    }
    Ok(current)
}

/// The manifest with one version in the place of the other.
pub(super) fn bump(manifest: &str, from: Version, to: Version) -> String {
    let bump = |line: &str| {
        if line == entry(from) || is_sibling(line) {
            line.replace(&entry(from), &entry(to))
        } else {
            line.to_owned()
        }
    };
    manifest.lines().map(|line| bump(line) + "\n").collect()
}

fn is_sibling(line: &str) -> bool {
    line.starts_with("runtime-") && line.contains("path = ")
}

fn entry(version: Version) -> String {
    format!("version = \"{version}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        text.parse().expect("three numbers")
    }

    const MANIFEST: &str = "[workspace.package]\nversion = \"0.1.0\"\n\n\
        runtime-gc = { path = \"crates/runtime-gc\", version = \"0.1.0\" }\n\
        other = { version = \"0.1.0\" }\n";

    #[test]
    fn only_our_own_versions_are_bumped() {
        let bumped = bump(MANIFEST, version("0.1.0"), version("0.2.0"));
        assert_eq!(bumped.matches("0.2.0").count(), 2);
        assert!(bumped.contains("other = { version = \"0.1.0\" }"));
        assert_eq!(
            current(&bumped).expect("it is consistent"),
            version("0.2.0")
        );
    }

    #[test]
    fn a_sibling_with_another_version_is_an_error() {
        let manifest = MANIFEST.replacen("\"0.1.0\" }", "\"0.0.9\" }", 1);
        assert!(current(&manifest).is_err());
    }

    #[test]
    fn numbers_are_compared_as_numbers() {
        assert!(version("0.10.0") > version("0.9.9"));
        assert!("1.0".parse::<Version>().is_err());
        assert!("1.0.0-rc.1".parse::<Version>().is_err());
    }

    #[test]
    fn compatibility_is_what_cargo_takes_for_it() {
        let promises =
            |wanted, current| version(wanted).promises_compatibility_with(version(current));
        assert!(promises("1.3.0", "1.2.9"));
        assert!(promises("0.2.1", "0.2.0"));
        assert!(!promises("0.3.0", "0.2.0"));
        assert!(!promises("1.0.0", "0.2.0"));
        assert!(!promises("0.0.2", "0.0.1"));
    }
}
