//! CHANGELOG.md: a release turns the unreleased entries into the section of a version.

use anyhow::{Context, Result, ensure};

const UNRELEASED: &str = "\n## Unreleased\n";

/// The changelog after a release.
#[derive(Debug)]
pub(super) struct Released {
    pub(super) text: String,
    /// The number of entries in the section of the version.
    pub(super) entries: usize,
}

/// Moves the unreleased entries to a section for this version and date.
pub(super) fn release(text: &str, version: &str, date: &str) -> Result<Released> {
    let (head, rest) = text
        .split_once(UNRELEASED)
        .context("the changelog has no section `## Unreleased`")?;
    let section = rest.split("\n## ").next().unwrap_or(rest);
    let entries = section
        .lines()
        .filter(|line| line.starts_with("- "))
        .count();
    ensure!(entries > 0, "the changelog has no unreleased entries");
    Ok(Released {
        text: format!("{head}{UNRELEASED}\n## {version} - {date}\n{rest}"),
        entries,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unreleased_entries_move_to_the_version() {
        let text = "# Changelog\n\n## Unreleased\n\n### Added\n\n- One.\n- Two.\n\n## 0.1.0 - 2026-01-01\n\n- Old.\n";
        let released = release(text, "0.2.0", "2026-02-02").expect("there are entries");
        assert_eq!(released.entries, 2);
        let expected = "# Changelog\n\n## Unreleased\n\n## 0.2.0 - 2026-02-02\n\n### Added\n\n- One.\n- Two.\n\n## 0.1.0 - 2026-01-01\n\n- Old.\n";
        assert_eq!(released.text, expected);
    }

    #[test]
    fn empty_release_is_rejected() {
        let text = "# Changelog\n\n## Unreleased\n\n## 0.1.0 - 2026-01-01\n\n- Old.\n";
        assert!(release(text, "0.2.0", "2026-02-02").is_err());
        assert!(release("# Changelog\n", "0.2.0", "2026-02-02").is_err());
    }
}
