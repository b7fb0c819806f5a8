//! Scopes, scope expressions and roles.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;

use crate::error::{ErrorCode, RequestError};

/// The scopes that a request requires.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Expression {
    Scope(String),
    All {
        #[serde(rename = "AllOf")]
        all_of: Vec<Expression>,
    },
    Any {
        #[serde(rename = "AnyOf")]
        any_of: Vec<Expression>,
    },
}

impl Expression {
    pub(crate) fn scope(scope: impl Into<String>) -> Self {
        Self::Scope(scope.into())
    }

    pub(crate) fn all(all_of: impl IntoIterator<Item = Expression>) -> Self {
        Self::All {
            all_of: all_of.into_iter().collect(),
        }
    }

    pub(crate) fn any(any_of: impl IntoIterator<Item = Expression>) -> Self {
        Self::Any {
            any_of: any_of.into_iter().collect(),
        }
    }

    /// Returns the unsatisfied part of the expression.
    fn missing(&self, allows: &dyn Fn(&str) -> bool) -> Option<Self> {
        match self {
            Self::Scope(scope) => (!allows(scope)).then(|| self.clone()),
            Self::All { all_of } => {
                let mut missing: Vec<_> = all_of.iter().filter_map(|e| e.missing(allows)).collect();
                match missing.len() {
                    0 => None,
                    1 => missing.pop(),
                    _ => Some(Self::all(missing)),
                }
            }
            Self::Any { any_of } => {
                let missing: Option<Vec<_>> = any_of.iter().map(|e| e.missing(allows)).collect();
                missing.map(Self::any)
            }
        }
    }

    fn pretty(&self) -> String {
        match self {
            Self::Scope(scope) => scope.clone(),
            _ => serde_json::to_string_pretty(self).unwrap_or_default(),
        }
    }

    /// Fails unless the allowed scopes satisfy the expression.
    ///
    /// `client_id` is `None` for a request without credentials.
    pub(crate) fn require(
        &self,
        client_id: Option<&str>,
        allows: &dyn Fn(&str) -> bool,
    ) -> Result<(), RequestError> {
        let Some(missing) = self.missing(allows) else {
            return Ok(());
        };
        let all = self.pretty();
        let message = match client_id {
            None => format!(
                "This request requires Taskcluster credentials that satisfy the following scope expression:\n\n```\n{all}\n```"
            ),
            Some(client_id) => format!(
                "Client ID {client_id} does not have sufficient scopes and is missing the following scopes:\n\n```\n{}\n```\n\nThis request requires the client to satisfy the following scope expression:\n\n```\n{all}\n```",
                missing.pretty()
            ),
        };
        Err(RequestError::new(ErrorCode::InsufficientScopes, message))
    }
}

/// Returns whether one of the scopes equals `wanted`, or ends in `*` and has the rest as a prefix.
pub(crate) fn satisfies(scopes: &[String], wanted: &str) -> bool {
    scopes.iter().any(|scope| covers(scope, wanted))
}

fn covers(scope: &str, wanted: &str) -> bool {
    match scope.strip_suffix('*') {
        Some(prefix) => wanted.starts_with(prefix),
        None => scope == wanted,
    }
}

/// Roles: named sets of scopes, which the scope `assume:<name>` grants.
#[derive(Debug)]
pub(crate) struct Roles {
    by_name: BTreeMap<String, Vec<String>>,
    /// The scopes of the role `anonymous`, with those of the roles that it may assume.
    ///
    /// Every request needs them, so they are computed when a role changes.
    anonymous: Arc<[String]>,
}

impl Roles {
    /// Creates the initial role, `anonymous`.
    pub(crate) fn new() -> Self {
        let mut roles = Self {
            by_name: BTreeMap::new(),
            anonymous: Arc::from([]),
        };
        roles.set(
            "anonymous".to_owned(),
            ANONYMOUS_SCOPES
                .iter()
                .map(|scope| (*scope).to_owned())
                .collect(),
        );
        roles
    }

    /// Returns the roles by name.
    pub(crate) fn by_name(&self) -> &BTreeMap<String, Vec<String>> {
        &self.by_name
    }

    /// Returns the scopes that every request has, with or without credentials.
    pub(crate) fn anonymous(&self) -> Arc<[String]> {
        Arc::clone(&self.anonymous)
    }

    /// Creates or updates a role.
    pub(crate) fn set(&mut self, name: String, scopes: Vec<String>) {
        self.by_name.insert(name, scopes);
        self.anonymous = self.assume(vec!["assume:anonymous".to_owned()]).into();
    }

    /// Removes a role.
    pub(crate) fn remove(&mut self, name: &str) {
        self.by_name.remove(name);
        self.anonymous = self.assume(vec!["assume:anonymous".to_owned()]).into();
    }

    /// Adds the scopes of all roles that the given scopes may assume, directly or through others.
    pub(crate) fn assume(&self, scopes: Vec<String>) -> Vec<String> {
        let may_assume = |scope: &String| scope.starts_with("assume:") || covers(scope, "assume:");
        // The fast path of nearly all requests. `*` already includes the scopes of every role.
        if scopes.iter().any(|scope| scope == "*") || !scopes.iter().any(may_assume) {
            return scopes;
        }
        let mut found = BTreeSet::new();
        let mut unvisited = scopes;
        while let Some(scope) = unvisited.pop() {
            if !found.contains(&scope) {
                unvisited.extend(self.assumed(&scope));
                found.insert(scope);
            }
        }
        found.into_iter().collect()
    }

    /// Returns all scopes of a client in the minimal form of real responses.
    pub(crate) fn expand(&self, mut scopes: Vec<String>) -> Vec<String> {
        scopes.push("assume:anonymous".to_owned());
        without_covered(self.assume(scopes).into_iter().collect())
    }

    /// Returns the scopes of the roles that a scope may assume.
    fn assumed<'a>(&'a self, scope: &'a str) -> impl Iterator<Item = String> + 'a {
        // `assume:a*` assumes every role that starts with `a`. A role `a*` in turn belongs to
        // everyone who may assume a name that starts with `a`.
        let matching = self.by_name.iter().filter(move |(role, _)| {
            let assume = format!("assume:{role}");
            covers(scope, &assume) || (scope.starts_with("assume:") && covers(&assume, scope))
        });
        matching.flat_map(|(_, scopes)| scopes.iter().cloned())
    }
}

/// Removes the scopes that another scope with a `*` includes.
fn without_covered(scopes: BTreeSet<String>) -> Vec<String> {
    let all: Vec<_> = scopes.into_iter().collect();
    let kept = all.iter().filter(|scope| {
        !all.iter()
            .any(|other| other != *scope && other.ends_with('*') && covers(other, scope))
    });
    kept.cloned().collect()
}

/// The scopes of the role `anonymous` in a real deployment.
const ANONYMOUS_SCOPES: &[&str] = &[
    "auth:current-scopes",
    "auth:expand-scopes",
    "auth:get-client:*",
    "auth:get-role:*",
    "auth:list-clients",
    "auth:list-roles",
    "index:find-task:*",
    "index:list-namespaces:*",
    "index:list-tasks:*",
    "purge-cache:all-purge-requests",
    "purge-cache:purge-requests:*",
    "queue:claimed-count:*",
    "queue:claimed-list:*",
    "queue:get-artifact:public/*",
    "queue:get-provisioner:*",
    "queue:get-task-queue:*",
    "queue:get-task:*",
    "queue:get-worker-type:*",
    "queue:get-worker:*",
    "queue:list-artifacts:*",
    "queue:list-dependent-tasks:*",
    "queue:list-provisioners",
    "queue:list-task-group:*",
    "queue:list-task-queues",
    "queue:list-worker-types:*",
    "queue:list-workers:*",
    "queue:pending-count:*",
    "queue:pending-list:*",
    "queue:status:*",
    "secrets:list-secrets",
    "worker-manager:get-worker-pool:*",
    "worker-manager:get-worker:*",
    "worker-manager:list-providers",
    "worker-manager:list-worker-pool-errors:*",
    "worker-manager:list-worker-pools",
    "worker-manager:list-workers:*",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(scopes: &[&str]) -> Vec<String> {
        scopes.iter().map(|scope| (*scope).to_owned()).collect()
    }

    #[test]
    fn error_lists_only_missing_scopes() {
        let expression = Expression::all([Expression::scope("a"), Expression::scope("b")]);
        let error = expression
            .require(Some("me"), &|scope| scope == "a")
            .unwrap_err();
        assert!(
            error
                .message
                .contains("missing the following scopes:\n\n```\nb\n```"),
            "{error}"
        );
    }

    #[test]
    fn roles_are_expanded_transitively() {
        let mut roles = Roles::new();
        roles.set("one".into(), owned(&["assume:two"]));
        roles.set("two".into(), owned(&["deep"]));
        assert_eq!(
            roles.assume(owned(&["assume:one"])),
            owned(&["assume:one", "assume:two", "deep"])
        );
    }
}
