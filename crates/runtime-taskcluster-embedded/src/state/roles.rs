//! Roles: named sets of scopes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::table::Table;
use crate::scopes::covers;

/// Roles: named sets of scopes, which the scope `assume:<name>` grants.
#[derive(Debug)]
pub(crate) struct Roles {
    by_name: Table<String, Vec<String>>,
    /// The scopes of the role `anonymous`, with those of the roles that it may assume.
    ///
    /// Every request needs them, so they are computed when a role changes.
    anonymous: Arc<[String]>,
}

impl Roles {
    pub(crate) fn new() -> Self {
        Self {
            by_name: Table::new("role"),
            anonymous: Arc::from([]),
        }
    }

    /// Adds the initial role, `anonymous`.
    pub(crate) fn add_anonymous(&mut self) {
        let scopes = ANONYMOUS_SCOPES.iter();
        let scopes = scopes.map(|scope| (*scope).to_owned()).collect();
        self.set("anonymous".to_owned(), scopes);
    }

    /// Returns the table to store or restore.
    pub(crate) fn table_mut(&mut self) -> &mut Table<String, Vec<String>> {
        &mut self.by_name
    }

    /// Computes what depends on the roles after they changed.
    pub(crate) fn refresh(&mut self) {
        self.anonymous = self.assume(vec!["assume:anonymous".to_owned()]).into();
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
        self.refresh();
    }

    /// Removes a role.
    pub(crate) fn remove(&mut self, name: &str) {
        self.by_name.remove(&name.to_owned());
        self.refresh();
    }

    /// Adds the scopes of all roles that the given scopes may assume, directly or through others.
    pub(crate) fn assume(&self, scopes: Vec<String>) -> Vec<String> {
        let may_assume = |scope: &String| scope.starts_with("assume:") || covers(scope, "assume:");
        // The fast path of nearly all requests. `*` already includes the scopes of every role.
        if scopes.iter().any(|scope| scope == "*") || !scopes.iter().any(may_assume) {
            return scopes;
        }
        // A graph search, since roles may assume each other in a cycle.
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
    // Quadratic, for the few dozen scopes of a client.
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
