//! A Taskcluster on one machine as a program, with commands to create tasks from files and to follow their logs.
//!
//! [`taskcluster_dev`] is the program of the same name, which the package `runtime-app` installs. It serves an embedded
//! Taskcluster with its state in a folder, and creates tasks there or on a real deployment.
//!
//! | to | use |
//! | --- | --- |
//! | run the program | [`taskcluster_dev`] |
//! | read the definition of a task from a file | [`DefinitionFile`] |
//! | run tasks with a worker of this process, and show their results | [`LocalTasks`] |
//! | find the credentials of the user | [`environment_credentials`] |
//! | write lines to a terminal or a pipe | [`output`] |
//! | connect other clients to an embedded Taskcluster | [`client_variables`] |
//!
//! The crate is an application, so it reads the environment and listens to signals.

mod args;
mod definition_file;
mod environment;
mod local_tasks;
mod log;
pub mod output;
mod program;
mod result;
mod tasks;

pub use definition_file::{DefinitionFile, DefinitionFileError, TaskTarget};
pub use environment::{client_variables, environment_credentials};
pub use local_tasks::LocalTasks;
pub use program::taskcluster_dev;
pub use result::{TaskResult, results_table};
