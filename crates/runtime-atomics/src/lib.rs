//! Synchronization primitives for the life cycles of workers.
