//! Public types have unique names across the libraries.
//!
//! A name of two types makes every sentence and every import about it ambiguous. `pub` means public here:
//! the lint `unreachable_pub` turns anything else into `pub(crate)`.

use std::collections::BTreeMap;

use super::Problem;
use super::files::File;

const KEYWORDS: &[&str] = &[
    "pub struct ",
    "pub enum ",
    "pub trait ",
    "pub type ",
    "pub union ",
];

/// Checks all libraries.
pub(super) fn check(files: &[File]) -> Vec<Problem> {
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    let mut problems = Vec::new();
    let sources = files
        .iter()
        .filter(|file| file.path.starts_with("crates/") && file.path.contains("/src/"));
    for file in sources {
        for (line, number) in file.text.lines().zip(1..) {
            let Some(name) = public_type(line) else {
                continue;
            };
            let place = format!("{}:{number}", file.path);
            if let Some(other) = seen.insert(name.to_owned(), place) {
                let message = format!("public type `{name}` also exists in {other}");
                problems.push(Problem::new(&file.path, number, message));
            }
        }
    }
    problems
}

fn public_type(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let rest = KEYWORDS
        .iter()
        .find_map(|keyword| line.strip_prefix(keyword))?;
    let end = rest.find(|letter: char| !letter.is_alphanumeric() && letter != '_');
    Some(&rest[..end.unwrap_or(rest.len())])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_names_in_two_crates_are_found() {
        let file = |path: &str, text: &str| File {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        let files = [
            file(
                "crates/a/src/lib.rs",
                "pub struct Config {}\npub(crate) enum State {}",
            ),
            file(
                "crates/b/src/lib.rs",
                "pub enum Config<T> {}\npub(crate) enum State {}",
            ),
        ];
        let problems = check(&files);
        assert_eq!(problems.len(), 1);
        assert_eq!(
            problems[0].to_string(),
            "crates/b/src/lib.rs:1: public type `Config` also exists in crates/a/src/lib.rs:1"
        );
    }
}
