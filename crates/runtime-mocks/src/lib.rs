//! A test kit for workers: mock monitor, mock queue and an embedded Taskcluster.

#[cfg(feature = "taskcluster")]
pub mod taskcluster;
