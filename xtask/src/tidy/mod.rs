//! `cargo xtask tidy`: the rules of docs/architecture.md and docs/style.md that a program can check.
//!
//! It also runs as a test of this package, so `cargo test` says the same.

mod docs;
pub(crate) mod files;
pub(crate) mod layering;
mod manifests;
mod modules;
mod names;
mod sources;
mod toolchain;

use std::fmt;

use anyhow::{Result, ensure};
use xshell::Shell;

use crate::workspace::{self, Workspace};

/// A broken rule, and where.
#[derive(Debug, PartialEq, Eq)]
struct Problem {
    path: String,
    /// Counted from 1; 0 means the whole file.
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

/// Checks the workspace; also lists the files that grow too long, which is no failure yet.
pub(crate) fn run(sh: &Shell) -> Result<()> {
    let files = files::load(&workspace::root())?;
    for file in files.iter().filter(|file| file.has_extension("rs")) {
        let lines = file.text.lines().count();
        if lines > sources::LONG {
            println!("note: {} has {lines} lines", file.path);
        }
    }
    let problems = problems(sh, &files)?;
    let list: Vec<String> = problems.iter().map(ToString::to_string).collect();
    ensure!(
        list.is_empty(),
        "{} broken rules:\n{}",
        list.len(),
        list.join("\n")
    );
    println!("{} files are tidy", files.len());
    Ok(())
}

fn problems(sh: &Shell, files: &[files::File]) -> Result<Vec<Problem>> {
    let mut problems = Vec::new();
    for file in files {
        problems.extend(files::check(file, &workspace::root()));
        if file.has_extension("rs") {
            problems.extend(sources::check(file));
            problems.extend(docs::check(file));
        }
        // Fuzz targets are workspaces of their own, since they need another compiler.
        let is_root = file.path == "Cargo.toml" || file.text.contains("\n[workspace]");
        if file.name() == "Cargo.toml" && !is_root {
            problems.extend(manifests::check(file));
        }
    }
    problems.extend(toolchain::check(files));
    problems.extend(modules::check(files));
    problems.extend(names::check(files));
    problems.extend(layering::check(&Workspace::load(sh)?));
    Ok(problems)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_is_tidy() {
        let sh = Shell::new().expect("there is a current folder");
        sh.change_dir(workspace::root());
        if let Err(error) = run(&sh) {
            panic!("{error}");
        }
    }

    #[test]
    fn a_problem_names_the_place() {
        assert_eq!(
            Problem::new("a.rs", 3, "wrong").to_string(),
            "a.rs:3: wrong"
        );
        assert_eq!(Problem::new("a.rs", 0, "wrong").to_string(), "a.rs: wrong");
    }
}
