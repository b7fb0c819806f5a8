//! Speaks to Taskcluster over HTTP: queue, index, credentials and artifact uploads.
