//! Rules for each Rust file: a `//!` head, a maximum length, no `allow`; in a library no global state, and `thiserror`.

use crate::files::File;
use crate::tidy::Problem;

/// The length from which a file is listed in a note.
pub(super) const NOTE_LINES: usize = 250;
/// The length from which a file must be split.
const MAX_LINES: usize = 400;

/// Errors that `thiserror` cannot express.
const HANDWRITTEN_ERRORS: &[&str] = &[
    // Message and source are those of an error inside its field, if there is one.
    "crates/runtime-fetcher/src/cache/error.rs",
];

/// The sources of complete programs.
const APPLICATIONS: &[&str] = &[
    "crates/runtime-app/src/",
    "crates/runtime-dev-server/src/",
    "crates/runtime/src/bin/",
];

/// Calls that are reserved for applications, with the start of the paths of library sources that may use them.
const APPLICATION_CALLS: &[(&str, &[&str])] = &[
    ("env::var(", APPLICATIONS),
    ("env::var_os(", APPLICATIONS),
    ("env::vars(", &[]),
    ("env::vars_os(", &[]),
    (
        "set_global_default(",
        // `LogBuilder::install`, which applications call at startup.
        &["crates/runtime-monitoring/src/logs/builder.rs"],
    ),
    ("set_global_recorder(", &[]),
    ("set_boxed_logger(", &[]),
];

/// Checks one source.
pub(super) fn check(file: &File) -> Vec<Problem> {
    let problem = |line, message: &str| Problem::new(&file.path, line, message);
    let mut problems = Vec::new();
    let first = file.text.lines().find(|line| !line.trim().is_empty());
    if !first.is_some_and(|line| line.starts_with("//!")) {
        problems.push(problem(1, "lacks a `//!` head that states its purpose"));
    }
    let lines = file.text.lines().count();
    if lines > MAX_LINES {
        let message = format!("has {lines} lines, more than {MAX_LINES}: split it");
        problems.push(problem(0, &message));
    }
    for (number, line) in (1..).zip(file.text.lines().map(str::trim_start)) {
        if line.starts_with("#[allow(") || line.starts_with("#![allow(") {
            let message = "use `#[expect(lint, reason = \"...\")]` instead of `allow`";
            problems.push(problem(number, message));
        }
    }
    if file.is_library_source() {
        problems.extend(application_calls(file));
        problems.extend(handwritten_errors(file));
    }
    problems
}

/// Finds errors without `thiserror`, whose derive keeps message, fields and source together.
fn handwritten_errors(file: &File) -> Vec<Problem> {
    if HANDWRITTEN_ERRORS.contains(&file.path.as_str()) {
        return Vec::new();
    }
    let lines = file.code_lines();
    let handwritten = lines.filter(|(_, line)| {
        let implemented = line
            .strip_prefix("impl")
            .and_then(|line| line.split(" for ").next());
        implemented.is_some_and(|name| name.ends_with(" Error") || name.ends_with("::Error"))
    });
    let message = "derive `thiserror::Error` instead of implementing `Error`";
    handwritten
        .map(|(number, _)| Problem::new(&file.path, number, message))
        .collect()
}

fn application_calls(file: &File) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (number, line) in file.code_lines() {
        for (call, exempt) in APPLICATION_CALLS {
            if line.contains(call) && !exempt.iter().any(|start| file.path.starts_with(start)) {
                let message = format!("`{call}..)` in a library: pass it as an argument");
                problems.push(Problem::new(&file.path, number, message));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem_count(path: &str, text: &str) -> usize {
        check(&File::new(path, text)).len()
    }

    fn library_problem_count(code: &str) -> usize {
        problem_count("crates/a/src/b.rs", &format!("//! Head.\n{code}"))
    }

    #[test]
    fn head_is_required() {
        let path = "xtask/src/a.rs";
        assert_eq!(problem_count(path, "//! Head.\nfn f() {}\n"), 0);
        assert_eq!(problem_count(path, "// Note.\n//! Head.\n"), 1);
        assert_eq!(problem_count(path, ""), 1);
    }

    #[test]
    fn maximum_length_is_inclusive() {
        let text = format!("//! Head.\n{}", "\n".repeat(MAX_LINES - 1));
        assert_eq!(problem_count("a.rs", &text), 0);
        assert_eq!(problem_count("a.rs", &(text + "\n")), 1);
    }

    #[test]
    fn allow_is_found() {
        assert_eq!(library_problem_count(concat!("#[al", "low(dead_code)]")), 1);
        let expect = "#[expect(dead_code, reason = \"soon\")]";
        assert_eq!(library_problem_count(expect), 0);
    }

    #[test]
    fn environment_in_a_library_is_found() {
        let read = "let home = std::env::var(\"HOME\");";
        assert_eq!(library_problem_count(read), 1);
        assert_eq!(library_problem_count(&format!("/// {read}")), 0);
        let test = format!("#[cfg(test)]\nmod tests {{ {read} }}");
        assert_eq!(library_problem_count(&test), 0);
        let example = format!("//! Head.\n{read}");
        assert_eq!(problem_count("crates/a/examples/b.rs", &example), 0);
    }

    #[test]
    fn handwritten_error_is_found() {
        assert_eq!(library_problem_count("impl Error for A {}\n"), 1);
        assert_eq!(
            library_problem_count("impl<T> std::error::Error for A<T> {}\n"),
            1
        );
        assert_eq!(library_problem_count("impl From<io::Error> for A {}\n"), 0);
        assert_eq!(
            library_problem_count("impl Display for ReserveError {}\n"),
            0
        );
    }
}
