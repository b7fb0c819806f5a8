//! Attempts to escape from a sandbox: each must fail inside and leave nothing outside.
//!
//! `cargo test -p runtime-sandbox --test escape` runs all attempts in strict walls, as this user and, if it is root,
//! also as an ordinary user. With a part of a name, it runs these. `-- --bwrap` compares with bubblewrap and prints a
//! table.

#[cfg(target_os = "linux")]
mod attempts;
#[cfg(target_os = "linux")]
mod decoys;
#[cfg(target_os = "linux")]
mod report;
#[cfg(target_os = "linux")]
mod runner;
#[cfg(target_os = "linux")]
mod sys;
#[cfg(target_os = "linux")]
mod target;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    runner::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {}
