//! CHANGELOG.md: what is unreleased becomes the section of a version.

use anyhow::{Context, Result, ensure};

const UNRELEASED: &str = "\n## Unreleased\n";

/// The changelog after a release.
#[derive(Debug)]
pub(super) struct Closed {
    pub(super) text: String,
    /// How many entries the new section has.
    pub(super) entries: usize,
}

/// Gives the unreleased entries a version and a day, and opens an empty section above them.
pub(super) fn close(text: &str, version: &str, day: &str) -> Result<Closed> {
    let (head, rest) = text
        .split_once(UNRELEASED)
        .context("the changelog has no section `## Unreleased`")?;
    let section = rest.split("\n## ").next().unwrap_or(rest);
    let entries = section
        .lines()
        .filter(|line| line.starts_with("- "))
        .count();
    ensure!(
        entries > 0,
        "nothing is unreleased: write into the changelog what users get"
    );
    Ok(Closed {
        text: format!("{head}{UNRELEASED}\n## {version} - {day}\n{rest}"),
        entries,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_move_below_the_version_and_older_ones_stay() {
        let text = "# Changelog\n\n## Unreleased\n\n### Added\n\n- One.\n- Two.\n\n## 0.1.0 - 2026-01-01\n\n- Old.\n";
        let closed = close(text, "0.2.0", "2026-02-02").expect("there is something");
        assert_eq!(closed.entries, 2);
        let expected = "# Changelog\n\n## Unreleased\n\n## 0.2.0 - 2026-02-02\n\n### Added\n\n- One.\n- Two.\n\n## 0.1.0 - 2026-01-01\n\n- Old.\n";
        assert_eq!(closed.text, expected);
    }

    #[test]
    fn a_release_of_nothing_is_refused() {
        let text = "# Changelog\n\n## Unreleased\n\n## 0.1.0 - 2026-01-01\n\n- Old.\n";
        assert!(close(text, "0.2.0", "2026-02-02").is_err());
        assert!(close("# Changelog\n", "0.2.0", "2026-02-02").is_err());
    }
}
