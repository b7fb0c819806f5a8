//! `cargo xtask tidy`: the rules of docs/architecture.md and docs/style.md that a program can check.
//!
//! The checks also run as a test of this package, so `cargo test` includes them.

mod code_tour;
mod doc_comments;
pub(crate) mod layering;
mod manifests;
mod modules;
mod names;
mod packages;
mod sources;
mod toolchain;

use std::fmt;
use std::path::Path;

use anyhow::{Result, ensure};
use xshell::Shell;

use crate::files::{self, File};
use crate::workspace::{self, Workspace};

/// A violation of a rule.
#[derive(Debug, PartialEq, Eq)]
struct Problem {
    path: String,
    /// Counted from 1; 0 is the whole file.
    line: usize,
    message: String,
}

impl Problem {
    fn new(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line,
            message: message.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.message),
            line => write!(f, "{}:{line}: {}", self.path, self.message),
        }
    }
}

/// Checks the workspace. Long files are listed but allowed up to a limit.
pub(crate) fn run(sh: &Shell) -> Result<()> {
    let files = files::load(&workspace::root())?;
    for file in files.iter().filter(|file| file.has_extension("rs")) {
        let lines = file.text.lines().count();
        if lines > sources::NOTE_LINES {
            println!("note: {} has {lines} lines", file.path);
        }
    }
    let problems = problems(sh, &files)?;
    let list: Vec<String> = problems.iter().map(ToString::to_string).collect();
    ensure!(
        list.is_empty(),
        "{} violations:\n{}",
        list.len(),
        list.join("\n")
    );
    println!("{} files are tidy", files.len());
    Ok(())
}

fn problems(sh: &Shell, files: &[File]) -> Result<Vec<Problem>> {
    let mut problems = Vec::new();
    for file in files {
        problems.extend(checkout_paths(file, &workspace::root()));
        if file.has_extension("rs") {
            problems.extend(sources::check(file));
            problems.extend(doc_comments::check(file));
        }
        // Fuzz crates are separate workspaces, since they need other compiler flags.
        let is_root = file.path == "Cargo.toml" || file.text.contains("\n[workspace]");
        if file.name() == "Cargo.toml" && !is_root {
            problems.extend(manifests::check(file));
        }
    }
    problems.extend(code_tour::check(files));
    problems.extend(toolchain::check(files));
    problems.extend(modules::check(files));
    problems.extend(names::check(files));
    problems.extend(packages::check(files));
    problems.extend(layering::check(&Workspace::load(sh)?));
    Ok(problems)
}

/// Finds the path of this checkout in a file.
fn checkout_paths(file: &File, root: &Path) -> Vec<Problem> {
    let root = root.to_string_lossy();
    let lines = (1..).zip(file.text.lines());
    let found = lines.filter(|(_, line)| line.contains(&*root));
    found
        .map(|(number, _)| Problem::new(&file.path, number, "contains the path of this checkout"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workspace_is_tidy() {
        let sh = Shell::new().expect("the current folder exists");
        sh.change_dir(workspace::root());
        if let Err(error) = run(&sh) {
            panic!("{error}");
        }
    }

    #[test]
    fn problem_names_file_and_line() {
        let problem = |line| Problem::new("a.rs", line, "wrong").to_string();
        assert_eq!(problem(3), "a.rs:3: wrong");
        assert_eq!(problem(0), "a.rs: wrong");
    }

    #[test]
    fn checkout_path_is_found() {
        let file = File::new("docs/a.md", "cd here\ncd /home/me/src\n");
        assert_eq!(checkout_paths(&file, Path::new("/home/me/src")).len(), 1);
        assert!(checkout_paths(&file, Path::new("/home/you/src")).is_empty());
    }
}
