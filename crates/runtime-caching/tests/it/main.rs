//! The public API in one test program, so that there is one program to link.

mod cache;
mod folders;
mod in_use_elsewhere;
mod json_keys;
mod model;
mod release;
mod support;
