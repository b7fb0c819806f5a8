//! The claims about engines.

mod env;
mod exec;
mod exit;
mod files;
mod mounts;
mod output;
mod payload;
mod proxies;
mod stops;

pub use self::env::*;
pub use self::exec::*;
pub use self::exit::*;
pub use self::files::*;
pub use self::mounts::*;
pub use self::output::*;
pub use self::payload::*;
pub use self::proxies::*;
pub use self::stops::*;

use super::script::Step;

pub(super) fn print(text: &str) -> Step {
    Step::Print(text.to_owned())
}

pub(super) fn write(path: &str, text: &str) -> Step {
    Step::Write {
        path: path.to_owned(),
        text: text.to_owned(),
    }
}

pub(super) fn link(path: &str, target: &str) -> Step {
    Step::Link {
        path: path.to_owned(),
        target: target.to_owned(),
    }
}
