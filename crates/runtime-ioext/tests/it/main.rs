//! The public API in one test program, so that there is one program to link.

mod auto_traits;
mod copy;
mod log;
mod log_broken;
mod log_limit;
mod log_lines;
mod log_model;
mod log_redact;
mod log_spooled;
mod paths;
mod pipes;
mod reads;
mod trees;
