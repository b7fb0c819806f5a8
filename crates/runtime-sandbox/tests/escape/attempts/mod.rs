//! The attempts. Each runs inside a sandbox, and succeeds if it reaches a decoy or gains a right.
//!
//! An attempt proves access by opening something or by the error of a check, and changes nothing outside.

mod exhaustion;
mod files;
mod ipc;
mod kernel;
mod mounts;
mod network;
mod processes;

use std::io;

use crate::target::Target;

/// An attempt to escape. An error means that it failed.
#[derive(Clone, Copy)]
pub(crate) struct Attempt {
    pub(crate) name: &'static str,
    pub(crate) run: fn(&Target) -> io::Result<()>,
    /// Succeeds without walls: the test proves that the attempt itself works.
    pub(crate) works_without_walls: bool,
}

/// Lists attempts by the names of their functions.
macro_rules! attempts {
    (without_walls: $($works:ident,)* ; others: $($other:ident,)*) => {
        pub(crate) const ATTEMPTS: &[crate::attempts::Attempt] = &[
            $(crate::attempts::Attempt { name: stringify!($works), run: $works, works_without_walls: true },)*
            $(crate::attempts::Attempt { name: stringify!($other), run: $other, works_without_walls: false },)*
        ];
    };
}
use attempts;

/// Returns all attempts.
pub(crate) fn all() -> Vec<Attempt> {
    let groups = [
        files::ATTEMPTS,
        mounts::ATTEMPTS,
        processes::ATTEMPTS,
        ipc::ATTEMPTS,
        network::ATTEMPTS,
        kernel::ATTEMPTS,
        exhaustion::ATTEMPTS,
    ];
    groups.concat()
}
