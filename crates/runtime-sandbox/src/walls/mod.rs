//! The operations of each wall.

pub(crate) mod credentials;
mod devices;
pub(crate) mod landlock;
mod mount_calls;
pub(crate) mod mounts;
pub(crate) mod namespaces;
pub(crate) mod network;
pub(crate) mod seccomp;
