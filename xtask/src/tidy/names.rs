//! Public types have unique names across the libraries, so that a name in docs or imports is unambiguous.

use std::collections::BTreeMap;

use crate::files::File;
use crate::tidy::Problem;

const KEYWORDS: &[&str] = &[
    "pub struct ",
    "pub enum ",
    "pub trait ",
    "pub type ",
    "pub union ",
];

/// Checks all libraries.
pub(super) fn check(files: &[File]) -> Vec<Problem> {
    let mut seen: BTreeMap<&str, String> = BTreeMap::new();
    let mut problems = Vec::new();
    for file in files.iter().filter(|file| file.is_library_source()) {
        for (number, line) in (1..).zip(file.text.lines()) {
            let Some(name) = public_type(line) else {
                continue;
            };
            let location = format!("{}:{number}", file.path);
            if let Some(other) = seen.insert(name, location) {
                let message = format!("public type `{name}` also exists in {other}");
                problems.push(Problem::new(&file.path, number, message));
            }
        }
    }
    problems
}

/// Returns the name of the public type that is defined on this line.
fn public_type(line: &str) -> Option<&str> {
    // `pub` is public: the lint `unreachable_pub` requires `pub(crate)` on anything else.
    let line = line.trim_start();
    let name = KEYWORDS
        .iter()
        .find_map(|keyword| line.strip_prefix(keyword))?;
    name.split(|c: char| !c.is_alphanumeric() && c != '_')
        .next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_names_in_two_crates_are_found() {
        let config = "pub struct Config {}\npub(crate) enum State {}";
        let other = "pub enum Config<T> {}\npub(crate) enum State {}";
        let problems = check(&[
            File::new("crates/a/src/lib.rs", config),
            File::new("crates/b/src/lib.rs", other),
        ]);
        assert_eq!(problems.len(), 1);
        assert_eq!(
            problems[0].to_string(),
            "crates/b/src/lib.rs:1: public type `Config` also exists in crates/a/src/lib.rs:1"
        );
    }
}
