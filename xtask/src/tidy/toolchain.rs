//! The oldest compiler that is supported is said in the root manifest; whatever installs one installs that.

use super::Problem;
use super::files::File;

/// What stands before the version of a compiler in workflows and Dockerfiles.
const BEFORE: &[&str] = &["toolchain install ", "rustup default ", "FROM rust:"];

/// Checks all files against the `rust-version` of the root manifest.
pub(super) fn check(files: &[File]) -> Vec<Problem> {
    let manifest = files.iter().find(|file| file.path == "Cargo.toml");
    let lines = manifest.map_or("", |file| &file.text).lines();
    let mut supported = lines.filter_map(|line| line.strip_prefix("rust-version = "));
    let supported = supported.next().unwrap_or_default().trim_matches('"');
    let places = files
        .iter()
        .filter(|file| file.path.starts_with(".github/") || file.has_extension("md"));
    places.flat_map(|file| others(file, supported)).collect()
}

fn others(file: &File, supported: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (line, number) in file.text.lines().zip(1..) {
        for version in versions(line).filter(|version| *version != supported) {
            let message =
                format!("names the compiler {version}, and the root manifest {supported}");
            problems.push(Problem::new(&file.path, number, message));
        }
    }
    problems
}

/// The numbered compilers that a line installs, and not `beta` or `nightly`.
fn versions(line: &str) -> impl Iterator<Item = &str> {
    let after = BEFORE.iter().filter_map(|before| line.split_once(before));
    let words = after.filter_map(|(_, rest)| rest.split([' ', '-']).next());
    words.filter(|word| word.starts_with(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_compiler_than_the_supported_one_is_found() {
        let file = |path: &str, text: &str| File {
            path: path.into(),
            text: text.into(),
        };
        let workflow = "- run: rustup toolchain install 1.90 --profile minimal && rustup default 1.95\n\
            - run: rustup toolchain install beta\n";
        let files = [
            file(
                "Cargo.toml",
                "[workspace.package]\nrust-version = \"1.95\"\n",
            ),
            file(".github/workflows/ci.yml", workflow),
            file("docs/a.md", "FROM rust:1.95-slim\n"),
        ];
        let problems = check(&files);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].message.contains("1.90"), "{problems:?}");
    }
}
