//! The public API against misbehaving servers on the loopback interface.

mod artifacts;
#[cfg(feature = "cache")]
mod cache;
mod combine;
#[cfg(feature = "cache")]
mod credentials;
mod encodings;
mod faults;
mod guard;
mod hashes;
mod http2;
mod keys;
mod parallel;
mod progress;
mod property;
mod proxy;
mod redirects;
mod resume;
#[cfg(feature = "cache")]
mod sources;
mod stream;
mod support;
mod targets;
mod task;
mod taskcluster;
#[cfg(feature = "unpack")]
mod unpack;
#[cfg(feature = "cache")]
mod verified;
