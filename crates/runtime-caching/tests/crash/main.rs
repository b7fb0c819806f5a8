//! `kill -9` before each change on disk, and in the middle of each removal of a folder, leaves a state from which the
//! next start recovers.
//!
//! The program runs itself as a child that executes a scenario and is killed at its n-th change, for each n until the
//! child completes. After each run it opens the root as the next process would, and checks the folders
//! against the guarantees that the child had recorded.

#![cfg_attr(not(unix), expect(unused, reason = "only Unix has kill -9"))]

use std::path::Path;
use std::process::ExitCode;

#[cfg(unix)]
mod child;
#[cfg(unix)]
mod parent;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        #[cfg(unix)]
        [_, "child", folder, number, moment] => {
            child::run(Path::new(folder), number.parse().expect("a number"), moment);
            ExitCode::SUCCESS
        }
        // The protocol of test runners for listing tests.
        [_, "--list", ..] => {
            println!("killed_at_each_change: test");
            ExitCode::SUCCESS
        }
        #[cfg(unix)]
        [_, ref args @ ..] if !args.contains(&"--ignored") => {
            parent::kill_at_each_change();
            ExitCode::SUCCESS
        }
        _ => ExitCode::SUCCESS,
    }
}
