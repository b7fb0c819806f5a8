//! The operations of each wall.

pub(crate) mod credentials;
pub(crate) mod landlock;
pub(crate) mod mounts;
pub(crate) mod namespaces;
pub(crate) mod seccomp;
