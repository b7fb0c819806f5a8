//! Behaviour of sandboxes through the public API.
#![cfg(target_os = "linux")]

mod commands;
mod support;
