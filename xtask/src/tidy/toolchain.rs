//! The oldest supported compiler is `rust-version` of the root manifest; workflows and pages install that one.

use crate::files::{self, File};
use crate::tidy::Problem;

/// The text before a compiler version in workflows and Dockerfiles.
const VERSION_PREFIXES: &[&str] = &["toolchain install ", "rustup default ", "FROM rust:"];

/// Checks workflows and pages.
pub(super) fn check(files: &[File]) -> Vec<Problem> {
    let manifest = files::text(files, "Cargo.toml").unwrap_or_default();
    let mut lines = manifest.lines();
    let supported = lines.find_map(|line| line.strip_prefix("rust-version = "));
    let supported = supported.unwrap_or_default().trim_matches('"');
    let has_versions = |file: &&File| file.path.starts_with(".github/") || file.has_extension("md");
    let checked = files.iter().filter(has_versions);
    checked
        .flat_map(|file| other_versions(file, supported))
        .collect()
}

fn other_versions(file: &File, supported: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (number, line) in (1..).zip(file.text.lines()) {
        for version in versions(line).filter(|version| *version != supported) {
            let message = format!("compiler {version} differs from `rust-version`, {supported}");
            problems.push(Problem::new(&file.path, number, message));
        }
    }
    problems
}

/// Returns the numbered compilers that a line installs, not `beta` or `nightly`.
fn versions(line: &str) -> impl Iterator<Item = &str> {
    let prefixes = VERSION_PREFIXES.iter();
    let rests = prefixes.filter_map(|prefix| Some(line.split_once(prefix)?.1));
    let words = rests.filter_map(|rest| rest.split([' ', '-']).next());
    words.filter(|word| word.starts_with(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_compiler_is_found() {
        let workflow = "- run: rustup toolchain install 1.90 --profile minimal && rustup default 1.95\n\
            - run: rustup toolchain install beta\n";
        let manifest = "[workspace.package]\nrust-version = \"1.95\"\n";
        let problems = check(&[
            File::new("Cargo.toml", manifest),
            File::new(".github/workflows/ci.yml", workflow),
            File::new("docs/a.md", "FROM rust:1.95-slim\n"),
        ]);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].message.contains("1.90"), "{problems:?}");
    }
}
