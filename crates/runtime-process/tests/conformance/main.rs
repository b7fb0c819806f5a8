//! The suite for engines over the engines of this crate.
#![cfg(unix)]

mod bubblewrap;
mod commands;
mod processes;
