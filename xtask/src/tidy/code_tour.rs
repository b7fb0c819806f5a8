//! The files and folders that `docs/code-tour.md` names exist.

use std::collections::BTreeSet;

use crate::files::File;
use crate::tidy::Problem;

const PATH: &str = "docs/code-tour.md";

/// Checks the code tour.
pub(super) fn check(files: &[File]) -> Vec<Problem> {
    let paths: BTreeSet<&str> = files
        .iter()
        .flat_map(|file| with_parents(&file.path))
        .collect();
    let tour = files.iter().find(|file| file.path == PATH);
    let lines = tour.map(|tour| tour.text.lines()).into_iter().flatten();
    let rows = (1..).zip(lines).filter(|(_, line)| line.starts_with('|'));
    let mut problems = Vec::new();
    for (number, row) in rows {
        for cell in row.split('|') {
            // A path without a crate belongs to the crate before it in the cell.
            let mut package = "";
            for path in cell.split('`').skip(1).step_by(2).filter(|it| is_path(it)) {
                let inner = match path.split_once('/') {
                    Some((first, inner)) if first.starts_with("runtime-") => {
                        package = first;
                        inner
                    }
                    _ => path,
                };
                let inner = inner.trim_end_matches('/');
                if !paths.contains(&*format!("crates/{package}/src/{inner}")) {
                    let message = format!("`{path}` does not exist in `{package}`");
                    problems.push(Problem::new(PATH, number, message));
                }
            }
        }
    }
    problems
}

/// Returns a path and those of its folders.
fn with_parents(path: &str) -> impl Iterator<Item = &str> {
    let folders = path.match_indices('/').map(|(end, _)| &path[..end]);
    folders.chain([path])
}

fn is_path(text: &str) -> bool {
    text.ends_with(".rs") || text.ends_with('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(row: &str) -> usize {
        let files = [
            File::new("crates/runtime-a/src/b/c.rs", ""),
            File::new("crates/runtime-a/src/d.rs", ""),
            File::new(PATH, format!("# Tour of `x/y.rs`\n{row}\n")),
        ];
        check(&files).len()
    }

    #[test]
    fn existing_paths_are_accepted() {
        assert_eq!(
            problems("| step | `runtime-a/b/c.rs`, `d.rs`; `b/` | `Type::new` |"),
            0
        );
    }

    #[test]
    fn missing_paths_are_problems() {
        assert_eq!(problems("| step | `runtime-a/c.rs`, `d.rs`, `e/` |"), 2);
        // The crate of another cell does not count.
        assert_eq!(problems("| `runtime-a/d.rs` | `d.rs` |"), 1);
    }
}
