//! The public API in one test program, so that there is one program to link.

mod auto_traits;
mod flag;
mod once;
mod wait_group;
