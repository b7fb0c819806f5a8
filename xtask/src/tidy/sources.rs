//! Rules for each Rust file: a head, a length, no waivers, nothing global in a library.

use super::Problem;
use super::files::File;

/// From here on a file is worth a second look.
pub(super) const LONG: usize = 250;
/// From here on it is too long.
const TOO_LONG: usize = 400;

/// What only an application may do, and the sources where the application's part of a library lives.
const GLOBAL: &[(&str, &[&str])] = &[
    ("env::var(", &[]),
    ("env::var_os(", &[]),
    ("env::vars(", &[]),
    ("env::vars_os(", &[]),
    (
        "set_global_default(",
        // `LogBuilder::install`, which applications call at their start.
        &["crates/runtime-monitoring/src/logs/builder.rs"],
    ),
    ("set_global_recorder(", &[]),
    ("set_boxed_logger(", &[]),
];

/// Checks one file.
pub(super) fn check(file: &File) -> Vec<Problem> {
    let mut problems = Vec::new();
    problems.extend(head(file));
    problems.extend(length(file));
    for (line, number) in file.text.lines().zip(1..) {
        problems.extend(waiver(line).map(|message| Problem::new(&file.path, number, message)));
    }
    if is_library(&file.path) {
        problems.extend(globals(file));
    }
    problems
}

fn head(file: &File) -> Option<Problem> {
    let opens = file.text.lines().find(|line| !line.trim().is_empty());
    let has_head = opens.is_some_and(|line| line.starts_with("//!"));
    (!has_head).then(|| {
        Problem::new(
            &file.path,
            1,
            "does not open with a `//!` head that says what it is for",
        )
    })
}

fn length(file: &File) -> Option<Problem> {
    let lines = file.text.lines().count();
    (lines > TOO_LONG).then(|| {
        Problem::new(
            &file.path,
            0,
            format!("has {lines} lines, more than {TOO_LONG}: split it"),
        )
    })
}

fn waiver(line: &str) -> Option<&'static str> {
    let line = line.trim_start();
    let waives = line.starts_with("#[allow(") || line.starts_with("#![allow(");
    waives.then_some("waives a lint for good: use `#[expect(lint, reason = \"...\")]`")
}

/// Says whether the file ends up in a library that a program links.
pub(super) fn is_library(path: &str) -> bool {
    path.starts_with("crates/") && path.contains("/src/")
}

fn globals(file: &File) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (number, line) in library_lines(&file.text) {
        for (call, places) in GLOBAL {
            if line.contains(call) && !places.contains(&file.path.as_str()) {
                let message = format!(
                    "`{call}..)` in a library: the application decides, take it as an argument"
                );
                problems.push(Problem::new(&file.path, number, message));
            }
        }
    }
    problems
}

/// The numbered lines that are code: neither comments nor the unit tests at the end.
fn library_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text
        .lines()
        .zip(1..)
        .take_while(|(line, _)| !line.starts_with("#[cfg(test)]"));
    lines
        .filter(|(line, _)| !line.trim_start().starts_with("//"))
        .map(|(line, number)| (number, line))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(path: &str, text: &str) -> Vec<String> {
        check(&File {
            path: path.into(),
            text: text.into(),
        })
        .iter()
        .map(ToString::to_string)
        .collect()
    }

    fn check_library(code: &str) -> Vec<String> {
        messages("crates/a/src/b.rs", &format!("//! Head.\n{code}"))
    }

    #[test]
    fn a_file_without_a_head_is_found() {
        assert_eq!(
            messages("xtask/src/a.rs", "//! Head.\nfn f() {}\n"),
            Vec::<String>::new()
        );
        assert_eq!(messages("xtask/src/a.rs", "// Note.\n//! Head.\n").len(), 1);
        assert_eq!(messages("xtask/src/a.rs", "").len(), 1);
    }

    #[test]
    fn four_hundred_lines_pass_and_one_more_does_not() {
        let text = format!("//! Head.\n{}", "\n".repeat(TOO_LONG - 1));
        assert_eq!(messages("a.rs", &text).len(), 0);
        assert_eq!(messages("a.rs", &(text + "\n")).len(), 1);
    }

    #[test]
    fn a_bare_allow_is_found_and_an_expect_is_not() {
        assert_eq!(check_library(concat!("#[al", "low(dead_code)]")).len(), 1);
        assert_eq!(
            check_library("#[expect(dead_code, reason = \"soon\")]").len(),
            0
        );
    }

    #[test]
    fn a_library_reads_no_environment_but_its_tests_and_docs_may() {
        let read = "let home = std::env::var(\"HOME\");";
        assert_eq!(check_library(read).len(), 1);
        assert_eq!(check_library(&format!("/// {read}")).len(), 0);
        assert_eq!(
            check_library(&format!("#[cfg(test)]\nmod tests {{ {read} }}")).len(),
            0
        );
        assert_eq!(
            messages("crates/a/examples/b.rs", &format!("//! Head.\n{read}")).len(),
            0
        );
    }
}
