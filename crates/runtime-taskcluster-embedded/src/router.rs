//! Finds the method that a request calls.

use crate::definition;
use crate::error::RequestError;
use crate::method::{Method, PathParams};
use crate::services::{PING, SERVICES, s3};
use crate::slugid::is_slugid;

/// A method and the parameters of its path.
#[derive(Debug)]
pub(crate) struct Route {
    service: &'static str,
    pub(crate) method: &'static Method,
    pub(crate) params: PathParams,
}

impl Route {
    /// Finds the route of a request, if a service implements it.
    pub(crate) fn find(verb: &str, path: &str) -> Option<Self> {
        let (service, path) = path.strip_prefix("/api/")?.split_once("/v1")?;
        let (service, tables) = SERVICES.iter().find(|(name, _)| *name == service)?;
        let mut methods = tables.iter().copied().flatten().chain([&PING]);
        methods.find_map(|method| {
            Some(Self {
                service,
                method,
                params: method.match_path(verb, path)?,
            })
        })
    }

    /// Returns the name in fault rules, for example `queue.claimWork`.
    pub(crate) fn full_name(&self) -> String {
        format!("{}.{}", self.service, self.method.name)
    }
}

/// Returns the names of all methods in fault rules.
pub(crate) fn method_names() -> impl Iterator<Item = String> {
    let of_services = SERVICES.iter().flat_map(|(service, tables)| {
        let methods = tables.iter().copied().flatten().chain([&PING]);
        methods.map(move |method| format!("{service}.{}", method.name))
    });
    of_services.chain(s3::METHOD_NAMES.map(str::to_owned))
}

/// Checks the syntax of path parameters.
pub(crate) fn check_params(params: &PathParams) -> Result<(), RequestError> {
    match params.iter().find(|(name, value)| !is_valid(name, value)) {
        Some((name, value)) => Err(RequestError::invalid_param(name, value)),
        None => Ok(()),
    }
}

fn is_valid(name: &str, value: &str) -> bool {
    match name {
        "taskId" | "taskGroupId" => is_slugid(value),
        "runId" => value.parse::<u32>().is_ok_and(|run| run <= 1000),
        "taskQueueId" | "workerPoolId" => definition::is_queue_id(value),
        "name" => value.bytes().all(|b| (0x20..0x7f).contains(&b)),
        _ => true,
    }
}
