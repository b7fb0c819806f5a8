//! A program: its name, engine, plugins and demo tasks.

use std::path::Path;

use crate::config_loader::ConfigLoader;
use crate::parts::AddPlugin;

/// A program around an engine.
pub(crate) struct ProgramSpec {
    pub(crate) name: &'static str,
    pub(crate) engine: Box<dyn ConfigLoader>,
    pub(crate) plugins: Vec<AddPlugin>,
    /// Called with the folders of dead workers before they are removed.
    pub(crate) end_leftovers: fn(&[&Path]),
    /// The names and definitions of the tasks that run without arguments.
    pub(crate) demo_tasks: &'static [(&'static str, &'static str)],
}
