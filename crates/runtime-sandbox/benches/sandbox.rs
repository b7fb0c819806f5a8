//! The cost of a sandbox, compared with bubblewrap and crun from Debian's packages.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
#[path = "sandbox/linux.rs"]
mod linux;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    bench_harness::Bench::main("sandbox", linux::cases)
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    ExitCode::SUCCESS
}
