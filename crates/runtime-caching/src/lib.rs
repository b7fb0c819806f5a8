//! Shared and exclusive caches of disposable resources, built once however many ask.
