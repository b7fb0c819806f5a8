//! Rules for member manifests: versions are in the root manifest, and the workspace's lints are on.

use crate::files::File;
use crate::tidy::Problem;

/// Checks the manifest of one member.
pub(super) fn check(file: &File) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut table = "";
    for (number, line) in (1..).zip(file.text.lines()) {
        if let Some(header) = line.strip_prefix('[') {
            table = header.split(']').next().unwrap_or_default();
        } else if let Some(message) = entry_problem(table, line) {
            problems.push(Problem::new(&file.path, number, message));
        }
    }
    if !file.text.contains("[lints]\nworkspace = true") {
        let message = "lacks `[lints] workspace = true`";
        problems.push(Problem::new(&file.path, 0, message));
    }
    problems
}

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
    // Packages that are never published have the version 0.0.0.
    let is_wrong = matches!(key, "edition" | "rust-version" | "license" | "repository")
        || (key == "version" && value != "\"0.0.0\"");
    is_wrong.then(|| format!("inherit `{key}` from the root: `{key}.workspace = true`"))
}

fn dependency_problem(table: &str, key: &str, value: &str) -> Option<String> {
    let name = key.trim_end_matches(".workspace");
    let inherits = key.ends_with(".workspace") || value.contains("workspace = true");
    let by_path = value.contains("path = ") && !value.contains("version = ");
    let for_tests = table.ends_with("dev-dependencies");
    // Cargo drops a dev-dependency without a version when it packages, so cycles through these packages are possible.
    if for_tests && matches!(name, "runtime-mocks" | "bench-harness") {
        return (!by_path).then(|| format!("`{name}` must be a path without a version here"));
    }
    let is_allowed = inherits || (for_tests && by_path);
    (!is_allowed).then(|| {
        format!("`{name}` has its version here: move it to the root, write `workspace = true`")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asserts that exactly these lines have problems.
    fn expect_problems(text: &str, lines: &[usize]) {
        let text = format!("{text}\n[lints]\nworkspace = true\n");
        let problems = check(&File::new("crates/a/Cargo.toml", &*text));
        let found: Vec<usize> = problems.iter().map(|problem| problem.line).collect();
        assert_eq!(found, lines, "in {text}");
    }

    #[test]
    fn versions_are_only_in_the_root() {
        let good = "[package]\nversion.workspace = true\n[dependencies]\na.workspace = true\nb = { workspace = true, features = [\n  \"x\",\n] }";
        expect_problems(good, &[]);
        let bad = "[package]\nversion = \"1.0\"\n[dependencies]\na = \"1\"\n[target.'cfg(unix)'.dependencies]\nb = { version = \"1\" }";
        expect_problems(bad, &[2, 4, 6]);
    }

    #[test]
    fn mocks_for_tests_are_a_bare_path() {
        let path = "runtime-mocks = { path = \"../runtime-mocks\" }";
        expect_problems(&format!("[dev-dependencies]\n{path}"), &[]);
        expect_problems("[dev-dependencies]\nruntime-mocks.workspace = true", &[2]);
        let versioned = path.replace(" }", ", version = \"1\" }");
        expect_problems(&format!("[dev-dependencies]\n{versioned}"), &[2]);
        let optional = "runtime-mocks = { workspace = true, optional = true }";
        expect_problems(&format!("[dependencies]\n{optional}"), &[]);
    }

    #[test]
    fn workspace_lints_are_required() {
        let file = File::new("crates/a/Cargo.toml", "[package]\nname = \"a\"\n");
        assert_eq!(check(&file).len(), 1);
    }
}
