//! Building blocks for Taskcluster workers, re-exported behind features.
