//! Program, arguments and variables in the form that `execve` takes.

use std::ffi::{CString, OsStr, c_char};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::process::Command;
use std::ptr;

/// A list of C strings that ends with a null pointer.
pub(crate) struct CStringArray {
    _owned: Vec<CString>,
    pub(crate) pointers: Vec<*const c_char>,
}

impl CStringArray {
    pub(crate) fn new(strings: impl Iterator<Item = io::Result<CString>>) -> io::Result<Self> {
        let owned: Vec<CString> = strings.collect::<io::Result<_>>()?;
        let pointers = owned.iter().map(|string| string.as_ptr());
        Ok(Self {
            pointers: pointers.chain([ptr::null()]).collect(),
            _owned: owned,
        })
    }
}

pub(crate) fn c_string(text: &OsStr) -> io::Result<CString> {
    CString::new(text.as_bytes()).map_err(io::Error::from)
}

pub(crate) fn environment_variable<'a>(command: &'a Command, wanted: &str) -> Option<&'a OsStr> {
    let mut variables = command.get_envs();
    variables
        .find_map(|(name, value)| (name == wanted).then_some(value))
        .flatten()
}
