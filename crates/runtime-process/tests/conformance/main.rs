//! The suite for engines over the engines of this crate.
#![cfg(unix)]

mod bubblewrap;
mod commands;
mod ordinary_user;
mod processes;
