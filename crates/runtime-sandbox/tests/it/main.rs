//! Behaviour of sandboxes through the public API.
//!
//! Root also runs all tests as an ordinary user, see `ordinary_user.rs`. Attempts to escape are in `tests/escape`.
#![cfg(target_os = "linux")]

mod commands;
mod files;
mod inside;
mod lifecycle;
mod limits;
mod network;
mod ordinary_user;
mod support;
mod sys;
mod terminal;
mod walls;
mod worker;
