//! Rules for member manifests: the root has every version, and the common lints are on.

use super::Problem;
use super::files::File;

/// Checks the manifest of one member.
pub(super) fn check(file: &File) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut table = "";
    for (line, number) in file.text.lines().zip(1..) {
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|line| line.split(']').next())
        {
            table = name;
        } else if let Some(message) = entry_problem(table, line) {
            problems.push(Problem::new(&file.path, number, message));
        }
    }
    if !file.text.contains("[lints]\nworkspace = true") {
        problems.push(Problem::new(
            &file.path,
            0,
            "lacks `[lints] workspace = true`",
        ));
    }
    problems
}

/// What is wrong with a line of the table.
fn entry_problem(table: &str, line: &str) -> Option<String> {
    let (key, value) = line.split_once('=')?;
    // Indented lines continue the entry above.
    if line.starts_with([' ', '#']) {
        return None;
    }
    let key = key.trim();
    match table {
        "package" => package_problem(key, value.trim()),
        _ if table.ends_with("dependencies") => dependency_problem(table, key, value),
        _ => None,
    }
}

fn package_problem(key: &str, value: &str) -> Option<String> {
    // A package that is never published needs no version worth sharing.
    let own = matches!(key, "edition" | "rust-version" | "license" | "repository")
        || (key == "version" && value != "\"0.0.0\"");
    own.then(|| format!("`{key}` is the root's: write `{key}.workspace = true`"))
}

fn dependency_problem(table: &str, key: &str, value: &str) -> Option<String> {
    let name = key.trim_end_matches(".workspace");
    let inherits = key.ends_with(".workspace") || value.contains("workspace = true");
    let by_path = value.contains("path = ") && !value.contains("version = ");
    let for_tests = table.ends_with("dev-dependencies");
    // Cargo drops a dev-dependency that is only a path when it packages, so cycles through these are harmless.
    let must_be_by_path = for_tests && matches!(name, "runtime-mocks" | "bench-harness");
    match (must_be_by_path, for_tests && by_path, inherits) {
        (true, true, false) | (false, true, _) | (false, false, true) => None,
        (true, ..) => Some(format!("`{name}` must be a path without a version here")),
        (false, ..) => Some(format!(
            "`{name}` has its version here: move it to the root, write `workspace = true`"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks that the rules are broken on these lines and no others.
    fn expect_problems(text: &str, lines: &[usize]) {
        let file = File {
            path: "crates/a/Cargo.toml".into(),
            text: format!("{text}\n[lints]\nworkspace = true\n"),
        };
        let found: Vec<usize> = check(&file).iter().map(|problem| problem.line).collect();
        assert_eq!(found, lines, "in {}", file.text);
    }

    #[test]
    fn versions_are_only_in_the_root() {
        let good = "[package]\nversion.workspace = true\n[dependencies]\na.workspace = true\nb = { workspace = true, features = [\n  \"x\",\n] }";
        expect_problems(good, &[]);
        let bad = "[package]\nversion = \"1.0\"\n[dependencies]\na = \"1\"\n[target.'cfg(unix)'.dependencies]\nb = { version = \"1\" }";
        expect_problems(bad, &[2, 4, 6]);
    }

    #[test]
    fn the_mocks_are_a_bare_path_when_tests_use_them() {
        expect_problems(
            "[dev-dependencies]\nruntime-mocks = { path = \"../runtime-mocks\" }",
            &[],
        );
        expect_problems("[dev-dependencies]\nruntime-mocks.workspace = true", &[2]);
        expect_problems(
            "[dev-dependencies]\nruntime-mocks = { path = \"../runtime-mocks\", version = \"1\" }",
            &[2],
        );
        expect_problems(
            "[dependencies]\nruntime-mocks = { workspace = true, optional = true }",
            &[],
        );
    }

    #[test]
    fn lints_of_the_workspace_are_on() {
        let file = File {
            path: "crates/a/Cargo.toml".into(),
            text: "[package]\nname = \"a\"\n".into(),
        };
        assert_eq!(check(&file).len(), 1);
    }
}
