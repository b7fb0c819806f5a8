//! Runs a command inside walls and limits, started safely from a threaded tokio program.
//!
//! Linux only, on x86-64 and AArch64. On other systems, this crate is empty.
#![cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]

mod child;
mod clone;
mod command;
mod error;
mod files;
mod init;
mod isolation;
mod limits;
mod plan;
mod process;
mod start;
mod stdio;
mod support;
mod sys;
mod terminal;
mod uids;
mod walls;

pub use child::{SandboxChild, SandboxExit};
pub use command::SandboxCommand;
pub use error::{SpawnError, SpawnStep};
pub use files::FileView;
pub use isolation::{Isolation, Wall};
pub use limits::Limits;
pub use process::SandboxUsage;
pub use stdio::StdStream;
pub use support::Support;
pub use terminal::{SandboxTerminal, TerminalSize};
