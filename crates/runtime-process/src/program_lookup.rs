//! Where the program of a command is searched.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use crate::walls::TaskWalls;

/// Where the program of a command is searched.
pub(crate) struct ProgramLookup {
    pub(crate) program: OsString,
    pub(crate) folder: PathBuf,
    /// The value of `PATH`, in which a program without a slash is searched.
    pub(crate) search_path: OsString,
    pub(crate) walls: Option<Arc<TaskWalls>>,
}
