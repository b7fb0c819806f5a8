//! Scopes, scope expressions and roles, by Taskcluster's rules.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;

use super::error::{ErrorCode, RequestError};

/// What a request must be allowed to do.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Expression {
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
    pub(super) fn scope(scope: impl Into<String>) -> Self {
        Self::Scope(scope.into())
    }

    pub(super) fn all(all_of: impl IntoIterator<Item = Expression>) -> Self {
        Self::All {
            all_of: all_of.into_iter().collect(),
        }
    }

    pub(super) fn any(any_of: impl IntoIterator<Item = Expression>) -> Self {
        Self::Any {
            any_of: any_of.into_iter().collect(),
        }
    }

    /// What of the expression the scopes do not satisfy.
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

    /// Refuses unless what is allowed satisfies the expression; `client` is `None` without credentials.
    pub(super) fn require(
        &self,
        client: Option<&str>,
        allows: &dyn Fn(&str) -> bool,
    ) -> Result<(), RequestError> {
        let Some(missing) = self.missing(allows) else {
            return Ok(());
        };
        let all = self.pretty();
        let message = match client {
            None => format!(
                "This request requires Taskcluster credentials that satisfy the following scope expression:\n\n```\n{all}\n```"
            ),
            Some(client) => format!(
                "Client ID {client} does not have sufficient scopes and is missing the following scopes:\n\n```\n{}\n```\n\nThis request requires the client to satisfy the following scope expression:\n\n```\n{all}\n```",
                missing.pretty()
            ),
        };
        Err(RequestError::new(ErrorCode::InsufficientScopes, message))
    }
}

/// Tells whether one of the scopes is `wanted`, or a pattern that ends in `*` and covers it.
pub(super) fn satisfies(scopes: &[String], wanted: &str) -> bool {
    scopes.iter().any(|scope| covers(scope, wanted))
}

fn covers(scope: &str, wanted: &str) -> bool {
    match scope.strip_suffix('*') {
        Some(prefix) => wanted.starts_with(prefix),
        None => scope == wanted,
    }
}

/// Named sets of scopes; who has `assume:<name>` has them.
#[derive(Debug)]
pub(super) struct Roles {
    by_name: BTreeMap<String, Vec<String>>,
    /// What everybody may do, with or without credentials.
    anonymous: Arc<[String]>,
}

impl Roles {
    /// The roles at the start: that of anonymous users.
    pub(super) fn new() -> Self {
        let mut roles = Self {
            by_name: BTreeMap::new(),
            anonymous: Arc::from([]),
        };
        roles.set(
            "anonymous".to_owned(),
            ANONYMOUS.iter().map(|scope| (*scope).to_owned()).collect(),
        );
        roles
    }

    /// The roles by name.
    pub(super) fn by_name(&self) -> &BTreeMap<String, Vec<String>> {
        &self.by_name
    }

    /// What everybody may do.
    pub(super) fn anonymous(&self) -> Arc<[String]> {
        Arc::clone(&self.anonymous)
    }

    /// Sets the scopes of a role.
    pub(super) fn set(&mut self, name: String, scopes: Vec<String>) {
        self.by_name.insert(name, scopes);
        self.anonymous = self.assume(vec!["assume:anonymous".to_owned()]).into();
    }

    /// Removes a role.
    pub(super) fn remove(&mut self, name: &str) {
        self.by_name.remove(name);
        self.anonymous = self.assume(vec!["assume:anonymous".to_owned()]).into();
    }

    /// The scopes with those of every role that they allow to assume.
    pub(super) fn assume(&self, scopes: Vec<String>) -> Vec<String> {
        let may_assume = |scope: &String| scope.starts_with("assume:") || covers(scope, "assume:");
        if scopes.iter().any(|scope| scope == "*") || !scopes.iter().any(may_assume) {
            return scopes;
        }
        let mut found = BTreeSet::new();
        let mut open = scopes;
        while let Some(scope) = open.pop() {
            if !found.contains(&scope) {
                open.extend(self.assumed(&scope));
                found.insert(scope);
            }
        }
        found.into_iter().collect()
    }

    /// Everything that somebody with these scopes may do, in the short form of the real answers.
    pub(super) fn expand(&self, mut scopes: Vec<String>) -> Vec<String> {
        scopes.push("assume:anonymous".to_owned());
        without_covered(self.assume(scopes).into_iter().collect())
    }

    /// The scopes of the roles that a scope allows to assume.
    fn assumed<'a>(&'a self, scope: &'a str) -> impl Iterator<Item = String> + 'a {
        let matching = self.by_name.iter().filter(move |(role, _)| {
            let assume = format!("assume:{role}");
            covers(scope, &assume) || (scope.starts_with("assume:") && covers(&assume, scope))
        });
        matching.flat_map(|(_, scopes)| scopes.iter().cloned())
    }
}

fn without_covered(scopes: BTreeSet<String>) -> Vec<String> {
    let all: Vec<_> = scopes.into_iter().collect();
    let kept = all.iter().filter(|scope| {
        !all.iter()
            .any(|other| other != *scope && other.ends_with('*') && covers(other, scope))
    });
    kept.cloned().collect()
}

const ANONYMOUS: &[&str] = &[
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

    fn set(scopes: &[&str]) -> Vec<String> {
        scopes.iter().map(|scope| (*scope).to_owned()).collect()
    }

    #[test]
    fn a_refusal_names_only_what_is_missing() {
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
    fn roles_are_expanded_through_other_roles() {
        let mut roles = Roles::new();
        roles.set("one".into(), set(&["assume:two"]));
        roles.set("two".into(), set(&["deep"]));
        assert_eq!(
            roles.assume(set(&["assume:one"])),
            set(&["assume:one", "assume:two", "deep"])
        );
    }
}
