//! Frees idle resources of a worker when disk, inodes or memory run low.
