//! The claims about engines.

mod env;
mod exec;
mod exit;
mod files;
mod limits;
mod mounts;
mod output;
mod payload;
mod proxies;
mod stops;

use self::env::*;
use self::exec::*;
use self::exit::*;
use self::files::*;
use self::limits::*;
use self::mounts::*;
use self::output::*;
use self::payload::*;
use self::proxies::*;
use self::stops::*;

use std::pin::Pin;

use super::EngineUnderTest;
use super::engine_test::{EngineTest, run_engine_test};
use super::script::Step;

/// Checks the claim of this name about an engine.
///
/// # Panics
///
/// Panics if the claim is wrong.
pub fn check_engine<U: EngineUnderTest>(under_test: U, claim: &str) {
    run_engine_test(under_test, |test| claim_about(test, claim));
}

macro_rules! dispatch {
    ($($claim:ident)*) => {
        /// Returns the check of a claim.
        fn claim_about<'a, U: EngineUnderTest>(
            test: EngineTest<U>,
            claim: &str,
        ) -> Pin<Box<dyn Future<Output = ()> + 'a>> {
            match claim {
                $(stringify!($claim) => Box::pin($claim(test)),)*
                _ => panic!("unknown claim `{claim}`"),
            }
        }
    };
}

crate::__engine_claims! { [dispatch] [] }

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
