//! Claims about environment variables.

use runtime_worker::{Capability, Exit};

use super::print;
use crate::conformance::EngineUnderTest;
use crate::conformance::engine_test::{EngineTest, assert_refused};
use crate::conformance::script::Step;

fn print_env(name: &str) -> Step {
    Step::PrintEnv(name.to_owned())
}

/// Returns whether the engine supports environment variables. If it does not, checks that it refuses them.
async fn has_env<U: EngineUnderTest>(test: &EngineTest<U>) -> bool {
    let has = test.has(Capability::EnvVars);
    if !has {
        assert_refused(test.builder().await.set_env("NAME", "value"));
    }
    has
}

pub(super) async fn env_is_set<U: EngineUnderTest>(test: EngineTest<U>) {
    if has_env(&test).await {
        let steps = [print_env("COLOUR")];
        let ended = test.run_with(&steps, |it| it.set_env("COLOUR", "blue"));
        ended.await.assert_printed("blue");
    }
}

pub(super) async fn env_keeps_unusual_values<U: EngineUnderTest>(test: EngineTest<U>) {
    if has_env(&test).await {
        for value in [
            "a b",
            "$HOME",
            "it's \"x\"",
            "\u{e4}\u{1f600}",
            "--flag=1",
            "*",
        ] {
            let steps = [print_env("ODD")];
            let ended = test.run_with(&steps, |it| it.set_env("ODD", value));
            ended.await.assert_printed(value);
        }
    }
}

pub(super) async fn env_hides_the_worker<U: EngineUnderTest>(test: EngineTest<U>) {
    // Cargo sets it for the test.
    let steps = [
        print("begin"),
        print_env("CARGO_MANIFEST_DIR"),
        print("end"),
    ];
    let log = test.run(&steps).await.log;
    assert!(log.contains("begin\n\nend\n"), "{log}");
}

pub(super) async fn env_with_invalid_name_is_refused<U: EngineUnderTest>(test: EngineTest<U>) {
    for name in ["", "A=B", "A\0"] {
        assert_refused(test.builder().await.set_env(name, "value"));
    }
}

pub(super) async fn env_with_nul_is_refused<U: EngineUnderTest>(test: EngineTest<U>) {
    assert_refused(test.builder().await.set_env("NAME", "a\0b"));
}

pub(super) async fn env_is_not_shared<U: EngineUnderTest>(test: EngineTest<U>) {
    if has_env(&test).await {
        let steps = [print_env("COLOUR"), print("end")];
        let first = test.run_with(&steps, |it| it.set_env("COLOUR", "blue"));
        assert_eq!(first.await.exit, Exit::Code(0));
        let second = test.run(&steps).await;
        second.assert_printed("end");
        assert!(!second.log.contains("blue"), "{}", second.log);
    }
}
