//! Conformance suites for engines and plugins.
//!
//! A suite is a list of claims, each of which becomes a test. It uses only the traits of `runtime-worker`, as a worker
//! does, so it shows whether an engine or plugin keeps the contract.
//!
//! The engine has to run the [`Step`]s of the suite's tasks. For an engine that runs shell commands, [`shell_script`]
//! translates them. If an engine lacks an optional capability, the claims about it check that the engine refuses its
//! use.
//!
//! ```
//! use std::sync::Arc;
//!
//! use runtime_mocks::conformance::{EngineUnderTest, Step};
//! use runtime_mocks::{MockEngine, engine_suite};
//! use runtime_worker::Engine;
//! use serde_json::{Value, json};
//!
//! struct Mock;
//!
//! impl EngineUnderTest for Mock {
//!     fn engine(&self) -> Arc<dyn Engine> {
//!         Arc::new(MockEngine)
//!     }
//!
//!     fn payload(&self, steps: &[Step]) -> Value {
//!         json!({ "steps": steps })
//!     }
//! }
//!
//! engine_suite!(Mock);
//! ```

mod at_every_await;
mod engine;
mod engine_test;
mod mock_engine;
mod plugin;
mod script;

use std::sync::Arc;

use runtime_core::Environment;
use runtime_worker::{Engine, Plugin};
use serde_json::Value;

#[doc(hidden)]
pub use self::engine::check_engine;
pub use self::mock_engine::MockEngine;
#[doc(hidden)]
pub use self::plugin::check_plugin;
pub use self::script::{Step, shell_script};

/// An engine that [`engine_suite!`](crate::engine_suite) tests.
pub trait EngineUnderTest: Send + Sync + 'static {
    /// Creates the engine. Each test calls it once.
    fn engine(&self) -> Arc<dyn Engine>;

    /// Returns the payload of a task that runs these steps.
    fn payload(&self, steps: &[Step]) -> Value;

    /// Returns the payload of a task that runs these steps below a limit, or `None` if the engine has no such limit.
    /// Default: none.
    fn limited_payload(&self, steps: &[Step], limit: TaskLimit) -> Option<Value> {
        let _ = (steps, limit);
        None
    }

    /// Returns the command that runs these steps in a running task. Default: `sh -c` with a [`shell_script`].
    fn exec_command(&self, steps: &[Step]) -> Vec<String> {
        vec!["sh".to_owned(), "-c".to_owned(), shell_script(steps)]
    }

    /// Returns the reason why this machine cannot run the engine, which skips the tests. Default: none.
    fn unavailable(
        &self,
        environment: &Environment,
    ) -> impl Future<Output = Option<String>> + Send {
        let _ = environment;
        std::future::ready(None)
    }
}

/// A limit of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TaskLimit {
    /// The memory of all its processes together, in bytes.
    Memory(u64),
    /// The number of its processes.
    Processes(u32),
}

/// A plugin that [`plugin_suite!`](crate::plugin_suite) tests.
pub trait PluginUnderTest: Send + Sync + 'static {
    /// Creates the plugin. Each test calls it once.
    fn plugin(&self) -> impl Future<Output = Arc<dyn Plugin>> + Send;

    /// Returns the part of the payload that makes the plugin act. Default: none.
    fn payload(&self) -> Value {
        Value::Object(serde_json::Map::new())
    }
}

/// Expands to a test for each claim about an engine, given an expression of a type that implements
/// [`EngineUnderTest`](crate::conformance::EngineUnderTest).
#[macro_export]
macro_rules! engine_suite {
    ($engine:expr) => {
        $crate::__engine_claims! { [$crate::__conformance_tests] [$engine; check_engine;] }
    };
}

/// Expands to a test for each claim about a plugin, given an expression of a type that implements
/// [`PluginUnderTest`](crate::conformance::PluginUnderTest).
#[macro_export]
macro_rules! plugin_suite {
    ($plugin:expr) => {
        $crate::__plugin_claims! { [$crate::__conformance_tests] [$plugin; check_plugin;] }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_tests {
    ($subject:expr; $check:ident; $($claim:ident)*) => {
        $(
            #[test]
            fn $claim() {
                $crate::conformance::$check($subject, stringify!($claim));
            }
        )*
    };
}

/// Passes the names of the claims about engines to a macro. This is the only list of these claims.
#[doc(hidden)]
#[macro_export]
macro_rules! __engine_claims {
    ([$($macro:tt)+] [$($argument:tt)*]) => {
        $($macro)+! { $($argument)*
            name_is_set schema_is_an_object payload_fits_schema capabilities_are_unique documentation_has_titles
            hostile_payloads_are_refused refused_payload_leaves_nothing

            exit_code_zero_succeeds exit_code_is_reported exit_by_signal_fails exit_is_repeated exit_survives_a_kill
            exit_is_seen_by_all_waits

            output_is_logged output_of_errors_is_logged output_keeps_its_order output_without_line_feed_is_logged
            output_is_complete output_of_a_failed_task_is_logged output_has_no_secrets input_is_closed
            leftover_processes_end

            env_is_set env_keeps_unusual_values env_hides_the_worker env_with_invalid_name_is_refused
            env_with_nul_is_refused env_is_not_shared

            folder_starts_empty folder_is_not_shared folder_changes_are_kept folder_content_is_read
            read_only_folder_is_read read_only_folder_is_unchanged folder_outside_is_refused
            folder_at_used_target_is_refused missing_folder_is_refused copy_is_read copy_protects_the_original
            copy_of_folder_is_complete

            proxy_is_reached proxy_receives_path proxy_url_differs_for_tasks proxy_url_is_not_logged
            proxy_ends_with_the_task proxy_is_reached_by_exec

            exec_runs_in_the_task exec_exit_code_is_reported exec_reads_input exec_separates_errors
            exec_has_a_terminal exec_ends_with_the_task exec_can_be_dropped exec_after_the_end_is_refused
            exec_of_invalid_command_is_refused

            limit_of_memory_ends_a_task limit_of_processes_is_enforced limited_task_may_use_less

            kill_ends_a_task kill_ends_a_stubborn_task kill_is_repeatable kill_can_be_dropped drop_ends_a_task
            dropped_builder_leaves_nothing cancelled_builder_leaves_nothing cancelled_start_leaves_nothing
            cancelled_wait_is_repeatable tasks_run_concurrently ended_task_leaves_nothing

            file_is_opened missing_file_is_reported file_outside_is_refused link_out_is_refused
            link_inside_is_followed folder_is_no_file file_is_no_folder folder_is_walked folder_walk_is_bounded
            link_circle_ends walk_leaves_out_links_out files_outlive_the_sandbox cancelled_walk_is_repeatable
        }
    };
}

/// Passes the names of the claims about plugins to a macro. This is the only list of these claims.
#[doc(hidden)]
#[macro_export]
macro_rules! __plugin_claims {
    ([$($macro:tt)+] [$($argument:tt)*]) => {
        $($macro)+! { $($argument)*
            name_is_set schema_is_an_object payload_fits_schema documentation_has_titles
            hostile_payloads_do_not_panic requirements_suffice task_reaches_its_end task_may_be_killed
            task_may_fail task_may_be_stopped_early exception_follows_each_stage dispose_follows_each_stage
            cancelled_stages_can_be_disposed tasks_run_concurrently nothing_is_left
        }
    };
}
