//! A program: its name, engine, plugins and demo tasks.

use crate::engine_section::EngineSection;
use crate::parts::AddPlugin;

/// A program around an engine.
pub(crate) struct Program {
    pub(crate) engine: Box<dyn EngineSection>,
    pub(crate) plugins: Vec<AddPlugin>,
    /// The names and definitions of the tasks that run without arguments.
    pub(crate) demo_tasks: &'static [(&'static str, &'static str)],
}
