//! The queue: tasks, claims, reports and artifacts.

mod artifacts;
pub(crate) mod claims;
pub(super) mod downloads;
pub(crate) mod found_artifact;
mod groups;
mod queues;
mod reports;
pub(crate) mod schemas;
mod tasks;
mod workers;

use crate::method::Method;

pub(super) const METHODS: &[&[Method]] = &[
    claims::METHODS,
    reports::METHODS,
    tasks::METHODS,
    artifacts::METHODS,
    downloads::METHODS,
    groups::METHODS,
    queues::METHODS,
    workers::METHODS,
];
