//! Behaviour through the public API, against servers on the loopback interface that misbehave.

mod artifacts;
mod combine;
mod faults;
mod guard;
mod hashes;
mod keys;
mod progress;
mod property;
mod resume;
mod stream;
mod support;
mod targets;
#[cfg(feature = "unpack")]
mod unpack;
