//! The version of all crates, in the root manifest.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, Error, Result, ensure};

/// A version of three numbers. Releases have no pre-release suffix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version([u64; 3]);

impl Version {
    /// Returns whether cargo would select this version for a requirement on the other one.
    pub(super) fn is_compatible_with(self, other: Self) -> bool {
        // Cargo treats the first number other than zero as the major version.
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
        let numbers = numbers.ok().and_then(|numbers| numbers.try_into().ok());
        let numbers = numbers.with_context(|| {
            format!("invalid version `{text}`: expected three numbers, such as 0.2.0")
        })?;
        Ok(Self(numbers))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self([major, minor, patch]) = self;
        write!(f, "{major}.{minor}.{patch}")
    }
}

/// Returns the version in `[workspace.package]`.
///
/// # Errors
///
/// A dependency on a library of the workspace has another version.
pub(super) fn current(manifest: &str) -> Result<Version> {
    let line = manifest
        .lines()
        .find_map(|line| line.strip_prefix("version = \""));
    let current: Version = line
        .and_then(|rest| rest.strip_suffix('"'))
        .context("the root manifest has no `version`")?
        .parse()?;
    for line in manifest.lines().filter(|line| is_library(line)) {
        ensure!(
            line.contains(&entry(current)),
            "version {current} expected in `{line}`"
        );
    }
    Ok(current)
}

/// Returns the manifest with the new version.
pub(super) fn bump(manifest: &str, from: Version, to: Version) -> String {
    let bump = |line: &str| {
        if line == entry(from) || is_library(line) {
            line.replace(&entry(from), &entry(to))
        } else {
            line.to_owned()
        }
    };
    manifest.lines().map(|line| bump(line) + "\n").collect()
}

fn is_library(line: &str) -> bool {
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
    fn only_library_versions_are_bumped() {
        let bumped = bump(MANIFEST, version("0.1.0"), version("0.2.0"));
        assert_eq!(bumped.matches("0.2.0").count(), 2);
        assert!(bumped.contains("other = { version = \"0.1.0\" }"));
        assert_eq!(
            current(&bumped).expect("it is consistent"),
            version("0.2.0")
        );
    }

    #[test]
    fn different_library_version_is_an_error() {
        let manifest = MANIFEST.replacen("\"0.1.0\" }", "\"0.0.9\" }", 1);
        assert!(current(&manifest).is_err());
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(version("0.10.0") > version("0.9.9"));
        assert!("1.0".parse::<Version>().is_err());
        assert!("1.0.0-rc.1".parse::<Version>().is_err());
    }

    #[test]
    fn compatibility_follows_cargo() {
        let is_compatible = |wanted, current| version(wanted).is_compatible_with(version(current));
        assert!(is_compatible("1.3.0", "1.2.9"));
        assert!(is_compatible("0.2.1", "0.2.0"));
        assert!(!is_compatible("0.3.0", "0.2.0"));
        assert!(!is_compatible("1.0.0", "0.2.0"));
        assert!(!is_compatible("0.0.2", "0.0.1"));
    }
}
