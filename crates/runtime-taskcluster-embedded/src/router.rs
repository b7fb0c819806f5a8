//! The methods of all services, and which of them a request calls.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use percent_encoding::percent_decode_str;

use super::call::{Call, Reply};
use super::error::{ErrorCode, RequestError};
use super::schema::Schema;
use super::shared::Shared;
use super::slug::is_slug;
use super::{definition, services};

/// An answer that takes its time.
pub(crate) type Pending<'a> =
    Pin<Box<dyn Future<Output = Result<Reply, RequestError>> + Send + 'a>>;

/// What does the work of a method.
#[derive(Clone, Copy)]
pub(crate) enum Work {
    /// Answers at once.
    Now(fn(&Shared, &Call) -> Result<Reply, RequestError>),
    /// May wait.
    Later(for<'a> fn(&'a Shared, &'a Call) -> Pending<'a>),
}

/// A method of a service.
#[derive(Clone, Copy)]
pub(crate) struct Method {
    pub(crate) service: &'static str,
    pub(crate) name: &'static str,
    verb: &'static str,
    /// As in the official references: parameters in angle brackets, the last may span segments
    /// if its name is `<name>`.
    path: &'static str,
    pub(crate) schema: Option<&'static Schema>,
    /// Answers whatever the credentials are.
    pub(crate) is_open: bool,
    pub(crate) work: Work,
}

impl Method {
    pub(crate) const fn new(
        (service, name): (&'static str, &'static str),
        (verb, path): (&'static str, &'static str),
        work: Work,
    ) -> Self {
        let (schema, is_open) = (None, false);
        Self {
            service,
            name,
            verb,
            path,
            schema,
            is_open,
            work,
        }
    }

    /// With a payload of this shape.
    pub(crate) const fn takes(mut self, schema: &'static Schema) -> Self {
        self.schema = Some(schema);
        self
    }

    /// The name in fault rules, for example `queue.claimWork`.
    pub(crate) fn full_name(&self) -> String {
        format!("{}.{}", self.service, self.name)
    }

    /// Matches the raw path below `/api/<service>/v1`.
    fn matches(&self, verb: &str, path: &str) -> Option<Vec<(&'static str, String)>> {
        if self.verb != verb {
            return None;
        }
        let mut params = Vec::new();
        let mut rest = path;
        let mut pattern = self.path.split('/').skip(1).peekable();
        while let Some(part) = pattern.next() {
            rest = rest.strip_prefix('/')?;
            let spans = part == "<name>" && pattern.peek().is_none();
            let end = if spans {
                rest.len()
            } else {
                rest.find('/').unwrap_or(rest.len())
            };
            let (segment, after) = rest.split_at(end);
            rest = after;
            match part
                .strip_prefix('<')
                .and_then(|name| name.strip_suffix('>'))
            {
                Some(_) if segment.is_empty() => return None,
                Some(name) => params.push((
                    name,
                    percent_decode_str(segment).decode_utf8_lossy().into_owned(),
                )),
                None if part == segment => {}
                None => return None,
            }
        }
        rest.is_empty().then_some(params)
    }
}

impl fmt::Debug for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.service, self.name)
    }
}

/// A method and the parameters of its path.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) method: Method,
    pub(crate) params: Vec<(&'static str, String)>,
}

/// Finds the method that a request calls.
pub(crate) fn find(verb: &str, path: &str) -> Option<Route> {
    let (service, path) = path.strip_prefix("/api/")?.split_once("/v1")?;
    let methods = services::methods(service)
        .iter()
        .flat_map(|methods| methods.iter());
    let mut found = methods.filter_map(|method| Some((*method, method.matches(verb, path)?)));
    let ping = Method {
        service: known(service)?,
        is_open: true,
        ..services::PING
    };
    found
        .next()
        .or_else(|| Some((ping, ping.matches(verb, path)?)))
        .map(|(method, params)| Route { method, params })
}

fn known(service: &str) -> Option<&'static str> {
    services::NAMES
        .iter()
        .copied()
        .find(|name| *name == service)
}

/// Refuses parameters that cannot be right.
pub(crate) fn check_params(params: &[(&'static str, String)]) -> Result<(), RequestError> {
    match params.iter().find(|(name, value)| !is_valid(name, value)) {
        Some((name, value)) => Err(bad_argument(name, value)),
        None => Ok(()),
    }
}

fn is_valid(name: &str, value: &str) -> bool {
    match name {
        "taskId" | "taskGroupId" => is_slug(value),
        "runId" => value.parse::<u32>().is_ok_and(|run| run <= 1000),
        "taskQueueId" | "workerPoolId" => definition::is_queue_id(value),
        "name" => value.bytes().all(|b| (0x20..0x7f).contains(&b)),
        _ => true,
    }
}

/// The refusal for a parameter of the path.
pub(crate) fn bad_argument(name: &str, value: &str) -> RequestError {
    let message =
        format!("Invalid URL patterns:\nURL parameter '{name}' given as '{value}' is not valid");
    RequestError::new(ErrorCode::InvalidRequestArguments, message)
}
